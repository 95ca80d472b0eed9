"""From a file to a restored file: what each verb measures, starts from and writes."""
