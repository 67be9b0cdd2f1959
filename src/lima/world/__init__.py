"""A made-up world of people and facts in which every claim of the paper has an exact answer."""
