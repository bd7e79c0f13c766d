"""The OpenAPI description of request and response bodies, which the service reads by hand.

FastAPI's response models are not used: uploads are streamed, half of the responses are files, and
problems have another media type. The schemas of results are made from the classes of the results.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from pleura.apps.serve.limits.limits import Limits
from pleura.apps.serve.responses.problem_details import MEDIA_TYPE, PROBLEM_SCHEMA
from pleura.apps.serve.responses.schemas import nullable, schema_of
from pleura.core.arrays import KNOWN_CHANNELS, Verdict
from pleura.core.card import Card
from pleura.core.masks.measure import TransverseWidth
from pleura.core.quality.verdict import DOUBTS, HEART_DOUBTS
from pleura.core.types import Measurements, Provenance, Spacing

__all__ = [
    "CORRECTIONS",
    "MEASUREMENTS",
    "METRICS",
    "MODEL",
    "PROBLEMS",
    "READY",
    "SEGMENTATIONS",
    "described",
]

_VERDICTS = list(get_args(Verdict))


def _doubts(codes: Iterable[str]) -> dict[str, Any]:
    return {
        "type": "array",
        "description": "Why the verdict is not `ok`; the most serious first.",
        "items": {
            "type": "object",
            "required": ["code", "text"],
            "additionalProperties": False,
            "properties": {"code": {"enum": list(codes)}, "text": {"type": "string"}},
        },
    }


_HEART: dict[str, Any] = {
    "type": ["object", "null"],
    "description": "The verdict on the heart and the cardiothoracic ratio, which is null unless "
    "this verdict is `ok`; null if the weights have no heart.",
    "required": ["verdict", "doubts"],
    "additionalProperties": False,
    "properties": {"verdict": {"enum": _VERDICTS}, "doubts": _doubts(HEART_DOUBTS)},
}

_QUALITY: dict[str, Any] = {
    "type": "object",
    "description": "Pleura's verdict on its own result.",
    "required": ["verdict", "estimated_dice", "uncertainty", "doubts", "heart"],
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
            "description": "Estimated Dice with a reader's outline; null if it is unknown.",
        },
        "uncertainty": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": 1,
            "description": "How uncertain the network is about the lungs, whatever the weights; "
            "null if no lung was found.",
        },
        "doubts": _doubts(DOUBTS),
        "heart": _HEART,
    },
}

_HEADERS: dict[str, Any] = {
    "Pleura-Verdict": {
        "description": "For files of one film: `quality.verdict` of the JSON.",
        "schema": {"enum": _VERDICTS},
    },
    "Pleura-Estimated-Dice": {
        "description": "For files: `quality.estimated_dice`, if it is known.",
        "schema": {"type": "string", "pattern": r"^[0-9.]+$"},
    },
    "Pleura-Uncertainty": {
        "description": "For files: `quality.uncertainty`, if a lung was found.",
        "schema": {"type": "string", "pattern": r"^[0-9.]+$"},
    },
    "Pleura-Doubts": {
        "description": "For files: the codes of the doubts, separated by commas, if there are any.",
        "schema": {"type": "string"},
    },
    "Pleura-Heart-Verdict": {
        "description": "For files: `quality.heart.verdict` of the JSON, if the weights have a "
        "heart.",
        "schema": {"enum": _VERDICTS},
    },
    "Pleura-Heart-Doubts": {
        "description": "For files: the codes of the doubts about the heart, separated by commas, "
        "if there are any.",
        "schema": {"type": "string"},
    },
}

_MEASUREMENTS = schema_of(Measurements)

_WIDTHS: dict[str, Any] = {
    "type": ["object", "null"],
    "description": "The two widths of the cardiothoracic ratio, px; null if it is not given.",
    "required": ["heart", "thorax"],
    "properties": {name: schema_of(TransverseWidth) for name in ("heart", "thorax")},
}

_MASK: dict[str, Any] = {
    "type": ["object", "null"],
    "description": "COCO's uncompressed run lengths: column by column, zeros first.",
    "properties": {
        "size": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
        "counts": {"type": "array", "items": {"type": "integer", "minimum": 0}},
    },
    "required": ["size", "counts"],
}

_PNG = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}

_LUNGS: dict[str, Any] = {
    "type": "object",
    "required": ["quality", "measurements", "widths", "notes"],
    "properties": {
        "quality": _QUALITY,
        "measurements": _MEASUREMENTS,
        "widths": _WIDTHS,
        "notes": {"type": "array", "items": {"type": "string"}},
        "rle": {
            "type": "object",
            "required": ["right", "left", "heart"],
            "properties": dict.fromkeys(("right", "left", "heart"), _MASK),
        },
        **dict.fromkeys(("mask_png", "labels_png", "overlay_png"), _PNG),
        "row": {"type": "object", "description": "The film's row of results.csv."},
    },
}

_PROVENANCE = schema_of(Provenance, without=("definition",))

_RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["film", "status"],
    "properties": {
        "index": {"type": "integer", "description": "For `ndjson`: the film's place in the form."},
        "film": {"type": "string", "description": "The client's name for the film, or empty."},
        "status": {"enum": ["done", "failed"]},
        "height": {"type": "integer"},
        "width": {"type": "integer"},
        "view": {"type": ["string", "null"]},
        "mirrored": {
            "type": "boolean",
            "description": "By its header the film is stored mirrored; its mirror image was "
            "segmented, and `flip` has no effect.",
        },
        "spacing": nullable(schema_of(Spacing)),
        "notes": {"type": "array", "items": {"type": "string"}},
        "formats": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Formats besides `json` and `csv`. Only DICOM films have DICOM formats.",
        },
        "provenance": _PROVENANCE,
        "lungs": {
            "type": "object",
            "description": "By definition, `field` or `whole`; with what `include` requested: "
            "`rle`, `mask_png`, `labels_png`, `overlay_png`, `row`.",
            "additionalProperties": _LUNGS,
        },
        "values": {
            "type": "object",
            "description": "The film's grey values: `png` (base64, samples of 8 or 16 bits), "
            "`minimum` and `step` (value = minimum + step x sample), and `dark` and `light`, the "
            "values of black and white in the usual display.",
        },
        "film_png": _PNG,
        "problem": PROBLEM_SCHEMA,
    },
}

_BINARY = {"schema": {"type": "string", "format": "binary"}}


def _problem_responses(descriptions: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    content = {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}
    return {
        status: {"description": text, "content": content} for status, text in descriptions.items()
    }


PROBLEMS = _problem_responses(
    {
        400: "A parameter or a form is wrong; also an unknown, empty or repeated parameter.",
        403: "Forbidden: by `Origin` or `Sec-Fetch-Site` a page of another site sent the request.",
        421: "Misdirected request: `Host` is no name of this service.",
    }
)
"""The problems that every route may answer."""

READY: dict[int | str, dict[str, Any]] = {
    503: {
        "description": "Not ready: the queue is full, or a worker is stuck in a film.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}
"""The other response of `GET /readyz`."""

_SEGMENTATION_PROBLEMS = {
    401: "The API key is missing or wrong.",
    406: "Not acceptable: the service offers none of the media types in Accept.",
    408: "Request timeout: the upload was too slow.",
    413: "Content too large: more bytes or films than one request may have.",
    415: "No image, a format that Pleura does not read, a damaged image, or a Content-Encoding.",
    422: "The image is no film that can be segmented.",
    500: "A defect of the service.",
    503: "The queue or the memory for uploads is full, or the service ends; Retry-After has the "
    "seconds until the next try.",
    504: "The films were not segmented in time.",
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
            "description": "The results.",
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
                "application/x-ndjson": {"schema": {"type": "string"}},
                "image/png": _BINARY,
                "text/csv": {"schema": {"type": "string"}},
                "application/dicom": _BINARY,
                "application/zip": _BINARY,
                "application/gzip": _BINARY,
                "application/octet-stream": _BINARY,
            },
        },
        **{
            str(status): answer
            for status, answer in _problem_responses(_SEGMENTATION_PROBLEMS).items()
        },
    },
}
"""The request body and the responses of `POST /v1/segmentations`."""

_MASKS: dict[str, Any] = {
    "type": "object",
    "description": "Masks as COCO run lengths, all of the film's size.",
    "required": ["right", "left"],
    "properties": {
        **dict.fromkeys(("right", "left", "heart"), _MASK),
        "spacing": nullable(schema_of(Spacing)),
    },
}

CORRECTIONS: dict[str, Any] = {
    **SEGMENTATIONS,
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["film", "masks"],
                    "properties": {
                        "film": {"type": "string", "format": "binary"},
                        "masks": {"type": "string", "format": "binary"},
                    },
                }
            }
        },
    },
}
"""The request body and the responses of `POST /v1/corrections`."""

MEASUREMENTS: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": _MASKS}}},
    "responses": {
        **SEGMENTATIONS["responses"],
        "200": {
            "description": "`measurements` and `widths`, as in the result of a film.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["measurements", "widths"],
                        "properties": {"measurements": _MEASUREMENTS, "widths": _WIDTHS},
                    }
                }
            },
        },
    },
}
"""The request body and the responses of `POST /v1/measurements`."""

_NO_KEY = {
    str(status): answer
    for status, answer in _problem_responses({401: _SEGMENTATION_PROBLEMS[401]}).items()
}

_MODEL_PROPERTIES: dict[str, Any] = {
    "version": {"type": "string", "description": "The version of Pleura."},
    "weights_sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "engine": {"type": "string"},
    "definitions": {"type": "array", "items": {"enum": ["field", "whole"]}},
    "card": schema_of(Card),
    "limits": schema_of(Limits),
    "needs_key": {"type": "boolean", "description": "Whether clients must send the API key."},
}
_MODEL_PROPERTIES["card"]["properties"]["channels"]["items"] = {"enum": list(KNOWN_CHANNELS)}

MODEL: dict[str, Any] = {
    "responses": {
        **_NO_KEY,
        "200": {
            "description": "The weights and the limits.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": list(_MODEL_PROPERTIES),
                        "properties": _MODEL_PROPERTIES,
                    }
                }
            },
        },
    }
}
"""The responses of `GET /v1/model`."""

METRICS: dict[str, Any] = {
    "responses": {
        **_NO_KEY,
        "200": {"description": "The counters.", "content": {"text/plain": {}}},
    }
}
"""The responses of `GET /metrics`."""


def described(description: dict[str, Any], *, has_key: bool) -> dict[str, Any]:
    """FastAPI's description; without the security of the operations if the service has no key."""
    if has_key:
        return description
    paths = {
        path: {
            method: {name: value for name, value in operation.items() if name != "security"}
            for method, operation in operations.items()
        }
        for path, operations in description["paths"].items()
    }
    return {**description, "paths": paths}
