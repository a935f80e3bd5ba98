"""The rules as rows, one file a layer; `jobs.health.rules` puts them in one table. Data and small predicates only."""
