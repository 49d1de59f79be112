-- Version 4. What was handed over and never heard of again: a newer version or roster looks for it without reading every request.

CREATE INDEX requests_lost ON requests (expires) WHERE state = 'expired' AND handed = 1;
