"""The site's one YAML file: schema, loader, and what is made from it."""
