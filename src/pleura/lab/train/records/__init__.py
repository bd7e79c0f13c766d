"""What a run records about itself: facts in its checkpoint, and its sessions."""
