"""sentence-transformers' models as embedders: the packaged one, and one of many vectors from it."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from sentence_transformers import MultiVectorEncoder
from transformers import (
    AutoTokenizer,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    PreTrainedTokenizerFast,
)

from chiasm.errors import Misuse
from chiasm.retrieval import Item, Multi, Role, SentenceModel, Single, similarity
from chiasm.weights import resolve

WORDS = ["a red car", "two cats sleep on a warm stone wall", "une voiture rouge"]
ITEMS = [Item(text=one) for one in WORDS]


@pytest.fixture(scope="module")
def single():
    return SentenceModel.open(resolve("minilm-l6"))


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """The packaged encoder with a projection of 128 entries a token, saved and opened again."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("many")
    MultiVectorEncoder(str(resolve("minilm-l6")), device="cpu").save_pretrained(str(folder))
    return SentenceModel.open(folder)


@pytest.mark.parametrize("role", list(Role))
def test_one_vector_an_item_as_the_library_gives_it(single, role):
    found = single.embed(ITEMS, role=role)
    assert isinstance(found, Single) and found.vectors.shape == (3, 384)
    theirs = getattr(single.model, f"encode_{role}")(WORDS, convert_to_tensor=True)
    torch.testing.assert_close(found.vectors, theirs)
    torch.testing.assert_close(similarity(found, found), single.model.similarity(theirs, theirs))


def test_alike_is_near(single):
    found = single.embed(
        [*ITEMS, Item(text="a crimson automobile"), Item(text="sleeping kittens")],
        role=Role.DOCUMENT,
    )
    scores = similarity(found, found)
    assert scores[0, 3] > scores[0, 4] and scores[1, 4] > scores[1, 3]


def test_many_vectors_an_item_and_their_maxsim(many):
    queries = many.embed(ITEMS[:2], role=Role.QUERY)
    documents = many.embed(ITEMS, role=Role.DOCUMENT)
    assert isinstance(queries, Multi) and isinstance(documents, Multi)
    theirs = [
        encode(words, show_progress_bar=False)
        for encode, words in (
            (many.model.encode_query, WORDS[:2]),
            (many.model.encode_document, WORDS),
        )
    ]
    assert documents.valid.sum(-1).tolist() == [len(one) for one in theirs[1]]
    torch.testing.assert_close(similarity(queries, documents), many.model.similarity(*theirs))


def test_an_instruction_is_put_in_front(single):
    plain, told = (
        single.embed(ITEMS, role=Role.QUERY, instruction=words) for words in ("", "find: ")
    )
    written = single.embed([Item(text=f"find: {one}") for one in WORDS], role=Role.QUERY)
    torch.testing.assert_close(told.vectors, written.vectors)
    assert (told.vectors - plain.vectors).abs().max() > 1e-3


def test_batches_do_not_matter(single):
    whole = single.embed(ITEMS, role=Role.QUERY).vectors
    alone = torch.cat([single.embed([one], role=Role.QUERY).vectors for one in ITEMS])
    torch.testing.assert_close(whole, alone, rtol=0, atol=1e-5)


def test_refusals(single):
    picture = Item(image=Image.new("RGB", (8, 8)))
    with pytest.raises(Misuse, match="image given to a model that takes text"):
        single.embed([ITEMS[0], picture], role=Role.QUERY)
    with pytest.raises(Misuse, match="no item to embed"):
        single.embed([], role=Role.QUERY)
    with pytest.raises(Misuse, match="task 'code' is unknown"):
        single.embed(ITEMS, role=Role.QUERY, task="code")
    with pytest.raises(Misuse, match="neither words nor a picture"):
        Item(text="  ")


def _clip(folder: Path) -> CLIPModel:
    torch.manual_seed(0)
    words = AutoTokenizer.from_pretrained(resolve("minilm-l6")).backend_tokenizer
    marks = {"pad_token": "[PAD]", "unk_token": "[UNK]", "bos_token": "[CLS]", "eos_token": "[SEP]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=31, **marks)
    small = {"hidden_size": 22, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = CLIPModel(
        CLIPConfig(
            text_config={**small, "vocab_size": 30522, "eos_token_id": 102, "projection_dim": 19},
            vision_config={**small, "image_size": 33, "patch_size": 11, "projection_dim": 19},
            projection_dim=19,
        )
    ).eval()
    model.save_pretrained(folder)
    side = {"height": 33, "width": 33}
    pixels = CLIPImageProcessorPil(size={"shortest_edge": 33}, crop_size=side)
    CLIPProcessor(image_processor=pixels, tokenizer=tokenizer).save_pretrained(folder)
    return model


@torch.inference_mode()
def test_a_clip_folder_embeds_words_pictures_and_both(tmp_path: Path) -> None:
    """transformers' own model, given its own processor's inputs, is the reference."""
    model = _clip(tmp_path)
    embedder = SentenceModel.open(tmp_path)
    picture = Image.new("RGB", (41, 37), "orange")
    items = [Item(text="a cat"), Item(image=picture), Item(text="a cat", image=picture)]
    found = embedder.embed(items, role=Role.DOCUMENT).vectors
    processor = CLIPProcessor.from_pretrained(tmp_path)
    read = processor(text=["a cat"], images=[picture], return_tensors="pt")
    words = model.get_text_features(read["input_ids"], read["attention_mask"]).pooler_output[0]
    seen = model.get_image_features(read["pixel_values"]).pooler_output[0]
    units = [one / one.norm() for one in (words, seen)]
    expected = torch.stack([*units, units[0] + units[1]])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
