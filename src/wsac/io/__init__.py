"""What is read, written and shown: files, recipes, downloads, the terminal, pictures, pages."""
