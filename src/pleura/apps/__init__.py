"""The programs: the command line, the web service, the DICOM node."""
