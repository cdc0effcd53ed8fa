"""One file per published system: values only, found by being here; deleting one changes none."""
