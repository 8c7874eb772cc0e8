"""The use cases: fetch, adopt, predict, plan, take readings, settle, keep quotas, report."""
