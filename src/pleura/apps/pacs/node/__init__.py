"""The command `pleura node`: a DICOM node that receives films and sends results."""
