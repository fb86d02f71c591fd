"""How a figure was measured, in words, from the protocol that a run or an evaluation recorded; it may be a stranger's."""

from typing import Any


def protocol_words(protocol: Any) -> str:
    """Return a recorded protocol in one line, without what is missing in it; evaluation.json has all of it."""
    if not isinstance(protocol, dict):
        return "not recorded"
    parts = [f"{_text(protocol[key])} {name}" for key, name in (("generated", "generated"), ("real", "real"))
             if protocol.get(key) is not None]
    data, extractor = protocol.get("data"), protocol.get("extractor")
    if isinstance(data, dict) and data.get("split") is not None:
        parts.append(f"split {_text(data['split'])}")
    if protocol.get("seed") is not None:
        parts.append(f"seed {_text(protocol['seed'])}")
    if isinstance(extractor, dict):
        trained = extractor.get("classifier")
        accuracy = trained.get("accuracy") if isinstance(trained, dict) else None
        told = f" of accuracy {accuracy:.1%}" if isinstance(accuracy, float) else ""
        parts.append(f"features {_text(extractor.get('extractor'))}{told}")
    return ", ".join(parts) or "not recorded"


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)[:60]
