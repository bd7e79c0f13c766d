"""Pictures: reading PNG, JPEG, TIFF, BMP, WebP and NIfTI films, and reading mask files."""
