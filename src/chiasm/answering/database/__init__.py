"""A neural database: what pictures show as a table, questions as plans over it (MMNDB)."""
