"""Every route on one page: method, path, who may, what goes in, what comes out.

A route without a rule cannot be written down here; a controller that is not here cannot be reached. `query` lists the parameters
that a route takes: any other is refused.
"""

# ruff: noqa: E501  one line a route, so that the eye can compare them

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from stillvault.protocol import messages as m
from stillvault.relay.controllers import organisation, targets, vault, watching
from stillvault.relay.guards import Rule

Controller = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Route:
    """`body` is None where there is none. `media` is what the answer is when it is not a message."""

    method: str
    path: str
    rule: Rule
    controller: Controller
    body: type[m.Message] | None = None
    answer: type[m.Message] | None = None
    status: int = 200
    query: tuple[str, ...] = ()
    media: str = "application/json"


# fmt: off
ROUTES: tuple[Route, ...] = (
    # the relay itself
    Route("GET",  "/ca.pem",                        Rule.ANYONE,    organisation.ca_pem,        media="application/x-pem-file"),
    Route("GET",  "/livez",                         Rule.ANYONE,    organisation.live,          None,           m.Health),
    Route("GET",  "/readyz",                        Rule.ANYONE,    organisation.ready,         None,           m.Health),
    # organisation and sign-in
    Route("GET",  "/v1/setup/log",                  Rule.SETUP,     organisation.log_key,       None,           m.LogKey),
    Route("POST", "/v1/setup",                      Rule.SETUP,     organisation.set_up,        m.Setup,        m.Organisation, 201),
    Route("GET",  "/v1/trust",                      Rule.TRUST,     organisation.trust,         None,           m.Trust),
    Route("POST", "/v1/login/nonce",                Rule.ANYONE,    organisation.nonce,         m.Nothing,      m.Nonce, 201),
    Route("POST", "/v1/login/credential",           Rule.ANYONE,    organisation.passkey,       m.Credential,   m.Passkey),
    Route("POST", "/v1/login",                      Rule.ANYONE,    organisation.login,         m.Login,        m.Session, 201),
    Route("POST", "/v1/logout",                     Rule.SESSION,   organisation.logout,        m.Nothing,      m.Nothing),
    Route("GET",  "/v1/environment",                Rule.ANYONE,    organisation.environment,   None,           m.Environment),
    Route("GET",  "/v1/session",                    Rule.PERSON,    organisation.session,       None,           m.Whoami),
    Route("GET",  "/v1/sessions",                   Rule.PERSON,    organisation.sessions,      None,           m.Sessions),
    Route("POST", "/v1/sessions/end",               Rule.PERSON,    organisation.end_sessions,  m.EndSessions,  m.Ended),
    Route("POST", "/v1/roster",                     Rule.ADMIN,     organisation.publish,       m.Publish,      m.Trust),
    Route("GET",  "/v1/holds",                      Rule.PERSON,    organisation.freezes,       None,           m.Freezes),
    Route("POST", "/v1/holds/lift",                 Rule.ADMIN,     organisation.lift,          m.Lift,         m.Lifted),
    # enrolment
    Route("GET",  "/v1/invites",                    Rule.PERSON,    organisation.invites,       None,           m.Invites),
    Route("POST", "/v1/invites",                    Rule.ADMIN,     organisation.invite,        m.NewInvite,    m.Nothing, 201),
    Route("POST", "/v1/invites/{invite:str}/challenge", Rule.ADMIN,     organisation.challenge,     m.Challenge,    m.Nothing),
    Route("POST", "/v1/invites/{invite:str}/cancel",    Rule.ADMIN,     organisation.cancel_invite, m.Nothing,      m.Nothing),
    Route("POST", "/v1/invites/{invite:str}/transfer",  Rule.PERSON,    organisation.transfer,      m.Challenge,    m.Nothing),
    Route("GET",  "/v1/invite",                     Rule.INVITE,    organisation.invite_terms,  None,           m.InviteTerms),
    Route("POST", "/v1/enrol",                      Rule.INVITE,    organisation.join,          m.Enrol,        m.Enrolled, 201),
    Route("GET",  "/v1/enrol",                      Rule.TICKET,    watching.enrolment_state,   None,           m.EnrolState, query=("wait",)),
    Route("POST", "/v1/enrol/proof",                Rule.TICKET,    organisation.prove,         m.Proof,        m.Nothing),
    Route("POST", "/v1/clients",                    Rule.ADMIN,     organisation.add_client,    m.NewClient,    m.Nothing, 201),
    Route("GET",  "/v1/clients",                    Rule.PERSON,    organisation.clients,       None,           m.Clients),
    Route("POST", "/v1/wrapped",                    Rule.PERSON,    organisation.keep_wrapped,  m.WrappedKey,   m.Nothing),
    Route("GET",  "/v1/wrapped",                    Rule.PERSON,    organisation.wrapped,       None,           m.WrappedKeys),
    # secrets
    Route("POST", "/v1/secrets",                    Rule.SEALER,    vault.seal,                 m.NewSecret,    m.Stored, 201),
    Route("GET",  "/v1/secrets",                    Rule.PERSON,    vault.secrets,              None,           m.Secrets,
          query=("prefix", "after", "limit")),
    Route("GET",  "/v1/secrets/latest",             Rule.PERSON_OR_CLIENT_IN_SCOPE, vault.latest, None,         m.LatestSecret, query=("path",)),
    Route("GET",  "/v1/secrets/history",            Rule.PERSON,    vault.history,              None,           m.Secrets, query=("path",)),
    # requests and decisions
    Route("POST", "/v1/requests",                   Rule.CLIENT,    vault.ask,                  m.NewRequests,  m.RequestStates, 201),
    Route("GET",  "/v1/requests",                   Rule.PERSON,    vault.requests,             None,           m.RequestStates, query=("state",)),
    Route("GET",  "/v1/requests/{oid:str}",             Rule.REQUESTER_OR_ASKED, vault.request,     None,           m.RequestState),
    Route("GET",  "/v1/prompts",                    Rule.APPROVER,  vault.prompts,              None,           m.Prompts),
    Route("POST", "/v1/decisions",                  Rule.DECIDER,   vault.decide,               m.Decide,       m.Decided),
    Route("POST", "/v1/receipts",                   Rule.CLIENT,    vault.receipts,             m.SignedList,   m.Nothing),
    Route("POST", "/v1/uses",                       Rule.CLIENT,    vault.uses,                 m.SignedList,   m.Nothing),
    Route("POST", "/v1/cancels",                    Rule.CLIENT,    vault.cancels,              m.SignedList,   m.Nothing),
    # leases
    Route("GET",  "/v1/leases",                     Rule.PERSON,    vault.leases,               None,           m.Leases),
    Route("POST", "/v1/leases/end",                 Rule.APPROVER_OR_ADMIN, vault.end_leases,   m.EndLeases,    m.Ended),
    # notification targets: each person's own
    Route("GET",  "/v1/targets",                    Rule.PERSON,    targets.listed,             None,           m.Targets),
    Route("POST", "/v1/targets",                    Rule.PERSON,    targets.add,                m.NewTarget,    m.Target, 201),
    Route("POST", "/v1/targets/remove",             Rule.PERSON,    targets.remove,             m.TargetId,     m.Nothing),
    Route("POST", "/v1/targets/test",               Rule.PERSON,    targets.test,               m.TargetId,     m.TargetTried),
    # what happens
    Route("GET",  "/v1/events",                     Rule.CLIENT,    watching.poll,              None,           m.Events, query=("after", "wait")),
    Route("GET",  "/v1/stream",                     Rule.PERSON,    watching.stream,            media="text/event-stream"),
    # the log
    Route("GET",  "/v1/audit",                      Rule.PERSON,    watching.leaves,            None,           m.Leaves, query=("after", "limit")),
    Route("GET",  "/v1/log/checkpoint",             Rule.SESSION,   watching.checkpoint,        None,           m.Checkpoint),
    Route("GET",  "/v1/log/consistency",            Rule.SESSION,   watching.consistency,       None,           m.Consistency, query=("old", "new")),
    Route("GET",  "/v1/log/tile/{tile:path}",       Rule.SESSION,   watching.tile,              media="application/octet-stream"),
)
# fmt: on
