"""The command `pleura dicomweb`: films and results over DICOMweb."""
