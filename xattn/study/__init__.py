"""Studies: from a data set to comparison, figures and page, as steps that are done once."""
