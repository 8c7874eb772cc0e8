"""What people read: tables for the terminal, and monthly statements as text, CSV and HTML."""
