"""The templates that come with chiasm: our own nano one, and those of published chat models."""

from dataclasses import replace
from difflib import get_close_matches

from chiasm.data.template import Template
from chiasm.errors import Misuse

NANO = Template(
    name="nano",
    specials=("<user>", "<assistant>", "<eos>"),
    before_user="<user>",
    before_answer="<assistant>",
    after_answer="<eos>",
    images_first=True,
)

VICUNA = Template(
    name="vicuna",
    specials=("<s>", "</s>"),
    start="<s>",
    system="A chat between a curious user and an artificial intelligence assistant. The assistant "
    "gives helpful, detailed, and polite answers to the user's questions.",
    after_system=" ",
    before_user="USER: ",
    after_image="\n",
    before_answer=" ASSISTANT:",
    answer_lead=" ",
    after_answer="</s>",
)

MMICL = replace(
    VICUNA,
    name="mmicl",
    system="",
    after_system="",
    before_user="",
    before_image="image {} is <image{}>",
    after_image=". ",
    before_answer="\n",
    answer_lead="",
)
"""Every image is declared by a number that the text refers to (MMICL, arXiv 2309.07915)."""

CHATML = Template(
    name="chatml",
    specials=("<|im_start|>", "<|im_end|>"),
    before_system="<|im_start|>system\n",
    after_system="<|im_end|>\n",
    before_user="<|im_start|>user\n",
    after_image="\n",
    after_user="<|im_end|>\n",
    before_answer="<|im_start|>assistant\n",
    after_answer="<|im_end|>",
    between="\n",
)

SMOLLM2 = replace(
    CHATML,
    name="smollm2",
    system="You are a helpful AI assistant named SmolLM, trained by Hugging Face",
)

IDEFICS2 = Template(
    name="idefics2",
    specials=("<s>", "<end_of_utterance>"),
    start="<s>",
    before_user="User:",
    after_user="<end_of_utterance>\n",
    before_answer="Assistant:",
    answer_lead=" ",
    after_answer="<end_of_utterance>",
    between="\n",
)

PRISMATIC = Template(
    name="prismatic",
    specials=("<|endoftext|>",),
    before_user="In: ",
    after_user="\n",
    before_answer="Out:",
    answer_lead=" ",
    after_answer="<|endoftext|>",
    images_first=True,
)
"""Of Prismatic VLMs (arXiv 2402.07865) on a base model, with a GPT-NeoX vocabulary."""

OMNIMAMBA = Template(
    name="omnimamba",
    specials=("<|mmu|>", "<|t2i|>", "<|soi|>", "<|eoi|>", "<|sot|>", "<|eot|>"),
    start="<|mmu|><|soi|>",
    before_user="<|eoi|><|sot|>",
    before_answer="\n",
    after_answer="<|eot|>",
    images_first=True,
)

TEMPLATES = {
    template.name: template
    for template in (NANO, VICUNA, MMICL, CHATML, SMOLLM2, IDEFICS2, PRISMATIC, OMNIMAMBA)
}


def named(name: str) -> Template:
    """A template by name; Misuse, with the nearest names, if there is none."""
    if name not in TEMPLATES:
        near = get_close_matches(name, TEMPLATES, n=3, cutoff=0.4) or list(TEMPLATES)
        raise Misuse(f"no template is called {name!r}; choose {' or '.join(near)}")
    return TEMPLATES[name]
