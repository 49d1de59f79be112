"""The audit log on its way to the operator's collectors: by syslog over TLS, by a signed webhook. The log here stays true."""
