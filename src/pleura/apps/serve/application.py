"""The web application: its addresses, its page and its problems."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp

import pleura
from pleura.apps.serve.addresses import addresses
from pleura.apps.serve.outermost import Outermost
from pleura.apps.serve.pages import page
from pleura.apps.serve.problems import answer_problems
from pleura.apps.serve.service import Service

__all__ = ["application"]


def application(service: Service) -> ASGIApp:
    """The application that serves with `service`; whoever runs it closes the service."""
    app = FastAPI(
        title="Pleura",
        version=pleura.__version__,
        description="Finds the lungs in frontal chest films. Nothing is stored. Not for diagnosis.",
        openapi_url=None,  # among the addresses, as one of them
        docs_url=None,  # these pages would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(addresses)
    app.include_router(page())
    answer_problems(app)
    return Outermost(app, service)
