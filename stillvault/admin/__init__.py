"""What an administrator and a sealer do: organisation, enrolment, rosters, sealing again, removal.

`roster` edits rosters and is pure; `publish` signs and uploads one; `organisation`, `enrolment`, `removal` and `resealing` are
the procedures of protocol section 11; `joining` is the other end of an enrolment. Thresholds of root and admins are 1 in this
version: the protocol allows more, these commands sign alone.
"""
