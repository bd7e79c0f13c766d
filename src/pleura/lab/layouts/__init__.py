"""How public sets and people's own folders are laid out on disk; one file a layout."""
