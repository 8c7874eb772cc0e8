"""How our processes talk: JSON over HTTP, each request signed with a MUNGE credential."""
