"""The part of the body that BodyPartExamined names, in several languages.

The standard asks for one of its own words (PS3.16 CID 4031); devices write words of their country.
A film is rejected only for a word that is known to mean another part.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["another_part", "is_chest"]

CHEST = (
    *("CHEST", "THORA", "TORAC", "TORAX", "TORAKS", "LUNG", "PULM", "POUMON", "POLMON", "CXR"),
    *("BRUST", "POITRINE", "PECHO", "PEITO", "BORST", "KLATKA", "PIERSI", "HRUDNI", "PLICE"),
    *("MELLKAS", "TUDO", "AKCIGER", "GOGUS", "KEUHKO", "RINTAKE", "BRYST", "BROST", "LUNGE"),
    *("ΘΩΡΑΚ", "ГРУД", "ЛЕГК", "胸", "肺", "흉부"),
)
"""Parts of words that mean the chest, anywhere in the value."""

UNSPECIFIED = frozenset({"", "UNKNOWN", "UNDEFINED", "OTHER", "NONE", "N/A", "NA", "UNSPECIFIED"})
"""Values that name no part."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SPINE = _words(
    "SPINE CSPINE TSPINE LSPINE SSPINE CTSPINE TLSPINE LSSPINE HWS BWS LWS WIRBEL RACHIS COLUMNA "
    "COLUNA COLONNA COLONNE VERTEBRA VERTEBRAL KREGOSLUP GERINC OMURGA WERVELKOLOM WERVEL SACRUM "
    "COCCYX LUMBAR LUMBAL LOMBAR CERVICAL ПОЗВОН"
)
"""Words for the spine: another part, unless the value also has CHEST, LUNG or PULM."""

OTHER_PARTS = SPINE | _words(
    # head and neck
    "HEAD SKULL CRANIUM CRANE CRANEO CRANIO SCHADEL SCHAEDEL KOPF TETE CABEZA CABECA TESTA GLOWA "
    "CZASZKA HLAVA LEBKA KOPONYA SCHEDEL HOOFD SINUS ORBIT JAW MANDIBLE MANDIBULA MAXILLA KIEFER "
    "FACE NOSE TEETH DENTAL ZAHN NECK HALS CUELLO COLLO PESCOCO ГОЛОВА ЧЕРЕП "
    # trunk
    "ABDOMEN ABDOMINAL ADDOME BAUCH VENTRE BRZUCH BRICHO BUIK KARIN ЖИВОТ KUB PELVIS BECKEN BASSIN "
    "BACINO BEKKEN MIEDNICA PANEV HIP HUFTE HUEFTE HANCHE CADERA QUADRIL ANCA HEUP BIODRO KYCEL "
    "CSIPO KALCA LONKKA BREAST MAMMA MAMA KIDNEY BLADDER COLON STOMACH LIVER "
    # leg
    "LEG LOWLEG KNEE KNIE GENOU RODILLA JOELHO GINOCCHIO KOLANO KOLENO POLVI BEIN JAMBE PIERNA "
    "PERNA GAMBA FEMUR TIBIA FIBULA THIGH CALF PATELLA ANKLE SPRUNGGELENK CHEVILLE TOBILLO "
    "TORNOZELO CAVIGLIA ENKEL FOOT FEET FUSS PIED PIEDE VOET STOPA TOE ZEHE HEEL CALCANEUS "
    "EXTREMITY EXTREMITAET EXTREMITIES EXTREMIDAD КОЛЕН СТОПА "
    # arm
    "ARM UPARM FOREARM HAND FINGER THUMB WRIST ELBOW HUMERUS RADIUS ULNA SHOULDER SCAPULA CLAVICLE "
    "MAIN DOIGT POIGNET COUDE BRAS EPAULE MANO DEDO MUNECA CODO BRAZO HOMBRO MAO PUNHO COTOVELO "
    "BRACO OMBRO POLSO GOMITO BRACCIO SPALLA HANDGELENK ELLENBOGEN ELLBOGEN SCHULTER OBERARM "
    "UNTERARM DAUMEN DLON NADGARSTEK LOKIEC RUKA LOKET RAMENO CSUKLO KONYOK SCHOUDER POLS "
    "ELLEBOOG КИСТЬ"
)
"""Words for other parts than the chest, without accents."""

CJK_OTHER_PARTS = (
    "腹",
    "頭",
    "头",
    "膝",
    "骨盤",
    "骨盆",
    "腰椎",
    "頸椎",
    "颈椎",
    "胸椎",
    "복부",
    "두부",
)
"""Words for other parts in Chinese, Japanese and Korean, found anywhere in the value."""

_LONG = 5  # a word of at least this many letters may have an ending (HANDGELENK, HANDGELENKE)


def is_chest(value: str) -> bool:
    """Whether `value` names the chest, or no part."""
    plain = _plain(value)
    return plain in UNSPECIFIED or any(word in plain for word in CHEST)


def another_part(value: str) -> str | None:
    """The word in `value` for another part than the chest; None if there is none."""
    plain = _plain(value)
    part = next((part for part in CJK_OTHER_PARTS if part in plain), None)
    if part and "胸部" not in plain and "肺" not in plain:
        return part
    words = [known for word in re.findall(r"[^\W\d_]+", plain) if (known := _known(word))]
    if any(word in plain for word in ("CHEST", "LUNG", "PULM")):
        return None
    spine = next((word for word in words if word in SPINE), None)
    return spine or (None if is_chest(plain) else next(iter(words), None))


def _known(word: str) -> str | None:
    """The longest word of `OTHER_PARTS` that `word` is or begins with; None if there is none."""
    begins = [word[:end] for end in range(len(word), _LONG - 1, -1)]
    return next((part for part in (word, *begins) if part in OTHER_PARTS), None)


def _plain(value: str) -> str:
    """The value in capitals, without accents."""
    decomposed = unicodedata.normalize("NFKD", value.replace("ł", "l").replace("Ł", "L"))
    return "".join(char for char in decomposed if not unicodedata.combining(char)).upper().strip()
