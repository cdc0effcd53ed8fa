"""One file per published system: values only. Found by being here; deleting one changes nothing else."""
