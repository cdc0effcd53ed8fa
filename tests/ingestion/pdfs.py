"""PDFs written by hand, so that it is known where on the page each word stands."""

import pypdfium2
import pypdfium2.raw as raw


def pdf(*pages: str, extra: str = "", rotate: int = 0, trailer: str = "") -> bytes:
    """A page of 200 x 100 points for each content stream; `F1` is Helvetica."""
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids ["
        + " ".join(f"{4 + 2 * at} 0 R" for at in range(len(pages)))
        + "] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for at, content in enumerate(pages):
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] "
            f"/Rotate {rotate} /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * at} 0 R >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    if extra:
        objects.append(extra)
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = (
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
        f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\n"
        f"startxref\n{len(out)}\n%%EOF\n"
    )
    return out + end.encode()


def words(*lines: tuple[float, float, str]) -> str:
    """A content stream with words at points counted from the lower left."""
    return " ".join(f"BT /F1 10 Tf {x} {y} Td ({text}) Tj ET" for x, y, text in lines)


def encrypted() -> bytes:
    """A PDF that wants a password."""
    secret = "<" + "41" * 32 + ">"
    page = words((20, 50, "secret"))
    body = f"<< /Filter /Standard /V 1 /R 2 /P -4 /O {secret} /U {secret} >>"
    return pdf(page, extra=body, trailer=f"/Encrypt 6 0 R /ID [{secret} {secret}]")


def blank(pages: int) -> bytes:
    """Many empty pages."""
    import io

    made = pypdfium2.PdfDocument.new()
    for _ in range(pages):
        raw.FPDFPage_New(made, len(made), 200.0, 100.0)
    into = io.BytesIO()
    made.save(into)
    made.close()
    return into.getvalue()
