#!/usr/bin/env python3
"""Makes tests/lm/tokenizers/: small BPE tokenizers as the families publish them, and what the package tokenizers says.

Each file is trained here on a few sentences, configured as tokenizer.json of its family is (the normalizers,
pre-tokenizers, decoders and flags; not the vocabulary), and holds the ids of every text of TEXTS and of random ones,
with and without the template, besides what the ids decode to. tokenizer_family_test.cpp compares. Needs tokenizers:

    python tests/lm/make_tokenizers.py [CASE...]
"""
import json
import pathlib
import random
import sys

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OUT = pathlib.Path(__file__).parent / "tokenizers"
MARK = "\u2581"
CORPUS = [
    "The quick brown fox jumps over the lazy dog, and the dog does not mind.", "She sells sea shells on the sea shore.",
    "In the year 2024 there were 366 days; in 2023 only 365.", "def main():\n    return [x for x in range(10)]\n",
    "Der schnelle braune Fuchs springt über den faulen Hund.", "Où est la bibliothèque ? Elle est là-bas.",
    "the  spaces   between    words", "don't won't can't shouldn't", "https://example.org/a?b=c&d=e",
    "\u65e5\u672c\u8a9e\u306e\u6587\u7ae0\u3067\u3059\u3002", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!",
] * 4
TEXTS = [
    "", " ", "  ", "   ", "\n", "\n\n", "a", " a", "a ", "  a  b   c    d", "The dog", " The dog", "\nThe dog\n",
    "the sea shore is 12345 miles away", "tab\there", "x\u00a0y", "caf\u00e9 cafe\u0301 \u212b", "\u65e5\u672c\u8a9e and \u4e2d\u6587",
    "\U0001f600 emoji \U0001f468\u200d\U0001f469\u200d\U0001f467", "\u2581 is a mark \u2581\u2581the", "<s>", "<s>the dog</s>", "the <s> dog", "a</s>  b",
    "<0x41> is no byte", "<unk>", "<|user|>\n the dog<|end|>  \n x", "sea<word>sea <word> sea", "[INST] the dog [/INST]",
    "\x00\x01\x7f", "\u0437\u0434\u0440\u0430\u0432\u0441\u0442\u0432\u0443\u0439", "don't  shouldn't", "\r\n  indented\r\n", "\ufeffBOM",
    "def main():\n    return 1\n\n\n", "a\u0300\u0301", "\u1e9b\u0323", "\uac00 \u1100\u1161", "<start_of_turn>user\nthe dog<end_of_turn>\n",
]
SPECIAL = ["<unk>", "<s>", "</s>"]


def plain(content, **flags):
    return AddedToken(content, special=True, normalized=False, **flags)


def byte_tokens():
    return [f"<0x{b:02X}>" for b in range(256)]


def sentencepiece(tokenizer, marked, added=()):
    """Trains on words that begin with a mark; adds the tokens of bytes; gives the merges that Hugging Face's converter
    derives from scores: every split of a token into two others, in the order of the tokens."""
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=[], show_progress=False)
    source = Tokenizer(models.BPE())
    source.normalizer = normalizers.Replace(" ", MARK)
    source.pre_tokenizer = pre_tokenizers.Metaspace(MARK, "always" if marked else "never", split=not marked)
    source.train_from_iterator(CORPUS, trainer)
    learned = [token for token, _ in sorted(source.get_vocab().items(), key=lambda item: item[1])]
    characters = [token for token in learned if len(token) == 1]
    words = [token for token in learned if len(token) > 1] + ([MARK * n for n in (2, 4)] if not marked else [])
    vocab = {token: i for i, token in enumerate(
        list(dict.fromkeys(SPECIAL + byte_tokens() + words + characters + list(added))))}
    known = set(words + characters)
    merges = [(word[:cut], word[cut:]) for word in words for cut in range(1, len(word))
              if word[:cut] in known and word[cut:] in known]
    tokenizer.model = models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)


def template(tokenizer, bos="<s>"):
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.token_to_id(bos))])


def legacy_decoder():
    return decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(),
                              decoders.Strip(" ", 1, 0)])


def llama2():
    """Llama 2, Mistral v1, Mixtral: everything in the normalizer."""
    t = Tokenizer(models.BPE())
    sentencepiece(t, True)
    t.normalizer = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    t.decoder = legacy_decoder()
    t.add_special_tokens([plain(token) for token in SPECIAL])
    template(t)
    return t


def metaspace_first():
    """Llama 2 and Mistral as newer converters write them."""
    t = Tokenizer(models.BPE())
    sentencepiece(t, True, ["[INST]", "[/INST]"])
    t.pre_tokenizer = pre_tokenizers.Metaspace(MARK, "first", split=False)
    t.decoder = legacy_decoder()
    t.add_special_tokens([plain(token) for token in SPECIAL + ["[INST]", "[/INST]"]])
    template(t)
    return t


def metaspace_split():
    """Metaspace as the package makes it by default."""
    t = Tokenizer(models.BPE())
    sentencepiece(t, True)
    t.pre_tokenizer = pre_tokenizers.Metaspace(MARK, "always", split=True)
    t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(MARK, "always", split=True)])
    t.add_special_tokens([plain(token) for token in SPECIAL])
    return t


def phi3():
    """Phi-3: added tokens that take white space with them; one that stands alone only, one in normalized text."""
    t = Tokenizer(models.BPE())
    sentencepiece(t, True, ["<|user|>", "<|end|>", "<word>", "<left>"])
    t.normalizer = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    t.decoder = legacy_decoder()
    t.add_special_tokens([plain("<unk>"), plain("<s>"), AddedToken("</s>", rstrip=True, normalized=False),
                          plain("<|user|>", rstrip=True), plain("<|end|>", rstrip=True)])
    t.add_tokens([AddedToken("<word>", single_word=True, normalized=False),
                  AddedToken("<left>", lstrip=True, normalized=False)])
    template(t)
    return t


def gemma():
    """Gemma 2 and 3: no mark in front, a split that never matches, line breaks and runs of marks as added tokens."""
    t = Tokenizer(models.BPE())
    turns = ["<start_of_turn>", "<end_of_turn>"]
    sentencepiece(t, False, turns + ["\n", "\n\n", "<table>"])
    t.normalizer = normalizers.Replace(" ", MARK)
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.decoder = decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse()])
    t.add_special_tokens([plain(token) for token in SPECIAL + turns])
    t.add_tokens([AddedToken(token, normalized=False) for token in ["\n", "\n\n", MARK * 2, "<table>"]])
    template(t)
    return t


def no_bytes():
    """A vocabulary without bytes: what has no token is unknown, neighbours as one; words added in normalized text."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    t.decoder = legacy_decoder()
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=180, special_tokens=SPECIAL, show_progress=False,
                                                      limit_alphabet=40))
    t.add_tokens([AddedToken("sea shore", normalized=True)])
    return t


def qwen():
    """Qwen: byte-level behind NFC."""
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"),
            "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=330, show_progress=False, special_tokens=["<|end|>"],
                                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


CASES = {f.__name__: f for f in (llama2, metaspace_first, metaspace_split, phi3, gemma, no_bytes, qwen)}


def random_texts(count):
    draw = random.Random(5)
    pieces = ["the", "sea", " ", "  ", "\n", "<s>", "</s>", MARK, "\u00e9", "e\u0301", "\u65e5", "\U0001f600", "1", "'", "don't", "<left>",
              "sea shore", "<word>", "<|end|>", "\t", "Q"]
    return ["".join(draw.choice(pieces) for _ in range(draw.randint(1, 9))) for _ in range(count)]


def make(case):
    tokenizer = CASES[case]()
    cases = []
    for text in TEXTS + random_texts(60):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        cases.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
    OUT.mkdir(exist_ok=True)
    with_bos = tokenizer.encode("a").ids
    (OUT / f"{case}.json").write_text(json.dumps({
        "origin": f"tokenizers {tokenizers.__version__}", "bos": len(with_bos) > len(tokenizer.encode("a", add_special_tokens=False).ids),
        "tokenizer": json.loads(tokenizer.to_str()), "cases": cases}, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(case, tokenizer.get_vocab_size(), "tokens", (OUT / f"{case}.json").stat().st_size, "bytes")


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        make(name)
