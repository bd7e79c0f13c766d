"""Reports as pages, tables, charts and the model card."""
