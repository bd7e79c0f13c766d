"""The OpenAPI description of request and response bodies.

Why no response models of FastAPI: uploads are streamed, half of the answers are files, problems are
of another media type, and models would give the description titles and references of their own.
"""

from __future__ import annotations

from typing import Any, get_args

from pleura.apps.serve.problems import MEDIA_TYPE, PROBLEM_SCHEMA
from pleura.core.arrays import Verdict
from pleura.core.quality.verdict import DOUBTS

__all__ = ["PROBLEMS", "READY", "SEGMENTATIONS"]

_VERDICTS = list(get_args(Verdict))

_QUALITY: dict[str, Any] = {
    "type": "object",
    "description": "Pleura's verdict on its own result.",
    "required": ["verdict", "estimated_dice", "doubts"],
    "additionalProperties": False,
    "properties": {
        "verdict": {
            "enum": _VERDICTS,
            "description": "`ok`; `review`: look at the masks first; `refused`: do not use them.",
        },
        "estimated_dice": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": 1,
            "description": "With a reader's outline; null where it cannot be told.",
        },
        "doubts": {
            "type": "array",
            "description": "Why the verdict is not `ok`, gravest first.",
            "items": {
                "type": "object",
                "required": ["code", "text"],
                "additionalProperties": False,
                "properties": {"code": {"enum": list(DOUBTS)}, "text": {"type": "string"}},
            },
        },
    },
}

_HEADERS: dict[str, Any] = {
    "Pleura-Verdict": {
        "description": "Of a PNG or DICOM file: `quality.verdict` of the JSON.",
        "schema": {"enum": _VERDICTS},
    },
    "Pleura-Estimated-Dice": {
        "description": "Of a file, where it is known.",
        "schema": {"type": "string", "pattern": r"^[0-9.]+$"},
    },
    "Pleura-Doubts": {
        "description": "Of a file: the doubts' codes, with commas, where there are any.",
        "schema": {"type": "string"},
    },
}

_RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["film", "status"],
    "properties": {
        "film": {"type": "string", "description": "As the client called it; else empty."},
        "status": {"enum": ["done", "failed"]},
        "height": {"type": "integer"},
        "width": {"type": "integer"},
        "view": {"type": ["string", "null"]},
        "spacing": {"type": ["object", "null"]},
        "notes": {"type": "array", "items": {"type": "string"}},
        "formats": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Besides `json` and `csv`; those of DICOM for DICOM films only.",
        },
        "provenance": {"type": "object"},
        "lungs": {
            "type": "object",
            "description": "By definition, `field` or `whole`: `quality`, `measurements`, `notes`, "
            "and what `include` asked for: `rle`, `mask_png`, `labels_png`, `overlay_png`, `row`.",
            "additionalProperties": {
                "type": "object",
                "required": ["quality", "measurements", "notes"],
                "properties": {"quality": _QUALITY},
            },
        },
        "film_png": {"type": "string", "contentEncoding": "base64"},
        "problem": PROBLEM_SCHEMA,
    },
}

_BINARY = {"schema": {"type": "string", "format": "binary"}}


def _problems(says: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    content = {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}
    return {status: {"description": text, "content": content} for status, text in says.items()}


PROBLEMS = _problems(
    {
        400: "A parameter or a form is wrong: one that is unknown, empty, or given twice, too.",
        403: "`Origin` or `Sec-Fetch-Site` says that a page of another site asks.",
        421: "`Host` is no name of this service.",
    }
)
"""What every address may answer."""

READY: dict[int | str, dict[str, Any]] = {
    503: {
        "description": "The queue is full, or a worker is stuck in a film.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}
"""What `GET /readyz` answers besides."""

_PROBLEMS = {
    401: "The API key is missing or wrong.",
    406: "None of the media types in Accept is offered.",
    408: "The upload was too slow.",
    413: "More bytes or films than one request may bring.",
    415: "No image of a kind we read, a damaged one, or a body with a Content-Encoding.",
    422: "An image, but no film that can be segmented.",
    500: "A defect of the service.",
    503: "The queue or the memory for uploads is full, or the service ends; Retry-After says when "
    "to come again.",
    504: "No answer within the limit.",
}

SEGMENTATIONS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": _BINARY,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["film"],
                    "additionalProperties": False,
                    "properties": {
                        "film": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                        }
                    },
                }
            },
        },
    },
    "responses": {
        "200": {
            "description": "What was found.",
            "headers": _HEADERS,
            "content": {
                "application/json": {
                    "schema": {
                        "oneOf": [
                            _RESULT,
                            {
                                "type": "object",
                                "required": ["results"],
                                "additionalProperties": False,
                                "properties": {"results": {"type": "array", "items": _RESULT}},
                            },
                        ]
                    }
                },
                "image/png": _BINARY,
                "text/csv": {"schema": {"type": "string"}},
                "application/dicom": _BINARY,
            },
        },
        **{str(status): answer for status, answer in _problems(_PROBLEMS).items()},
    },
}
"""The body and the answers of `POST /v1/segmentations`."""
