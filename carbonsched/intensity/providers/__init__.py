"""One adapter per service, file or table that knows a grid's intensity."""
