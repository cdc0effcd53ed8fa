"""The JSON of requests and answers; what is not known is refused."""
