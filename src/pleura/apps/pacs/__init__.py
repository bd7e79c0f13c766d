"""DICOM over the network: addresses, clients, and where results are sent."""
