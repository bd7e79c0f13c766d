"""Which part of the body a word of BodyPartExamined means, in the languages it is written in.

The standard asks for one of its own words (PS3.16 CID 4031); devices write those of their country.
Only a word that is known to mean another part counts against a film.
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
"""Each, anywhere in the value, means the chest."""

NO_WORDS = frozenset({"", "UNKNOWN", "UNDEFINED", "OTHER", "NONE", "N/A", "NA", "UNSPECIFIED"})
"""Values that say nothing."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SPINE = _words(
    "SPINE CSPINE TSPINE LSPINE SSPINE CTSPINE TLSPINE LSSPINE HWS BWS LWS WIRBEL RACHIS COLUMNA "
    "COLUNA COLONNA COLONNE VERTEBRA VERTEBRAL KREGOSLUP GERINC OMURGA WERVELKOLOM WERVEL SACRUM "
    "COCCYX LUMBAR LUMBAL LOMBAR CERVICAL ПОЗВОН"
)
"""The spine of the chest is another part, unless CHEST or LUNG stands beside it."""

OTHERS = SPINE | _words(
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
"""Words that mean another part, without accents."""

SIGNS = ("腹", "頭", "头", "膝", "骨盤", "骨盆", "腰椎", "頸椎", "颈椎", "胸椎", "복부", "두부")
"""The same, in scripts without blanks between words."""

_LONG = 5  # letters from which a word may go on, as HANDGELENK does in HANDGELENKE


def is_chest(value: str) -> bool:
    """Whether `value` says that the film shows the chest, or says nothing."""
    plain = _plain(value)
    return plain in NO_WORDS or any(word in plain for word in CHEST)


def another_part(value: str) -> str | None:
    """The word in `value` that means another part than the chest; None if there is none."""
    plain = _plain(value)
    signs = next((sign for sign in SIGNS if sign in plain), None)
    if signs and "胸部" not in plain and "肺" not in plain:
        return signs
    words = [known for word in re.findall(r"[^\W\d_]+", plain) if (known := _known(word))]
    if any(word in plain for word in ("CHEST", "LUNG", "PULM")):
        return None
    spine = next((word for word in words if word in SPINE), None)
    return spine or (None if is_chest(plain) else next(iter(words), None))


def _known(word: str) -> str | None:
    """The longest word of `OTHERS` that `word` is, or begins with."""
    begins = [word[:end] for end in range(len(word), _LONG - 1, -1)]
    return next((each for each in (word, *begins) if each in OTHERS), None)


def _plain(value: str) -> str:
    """Capitals without accents."""
    apart = unicodedata.normalize("NFKD", value.replace("ł", "l").replace("Ł", "L"))
    return "".join(sign for sign in apart if not unicodedata.combining(sign)).upper().strip()
