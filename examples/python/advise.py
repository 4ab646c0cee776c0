"""Recommend, compress, evaluate: run from the root of the repository after `pip install .`"""

import advisor

answer = advisor.recommend("examples/profiles/first-light.yaml")
print(answer)

best = answer.options[0]
if best["recipe"]:
    report = advisor.compress("examples/models/tiny", "build/example-out", recipe=best["recipe"], overwrite=True)
    folder = report["outputs"][0]["folder"]
    for model in ("examples/models/tiny", folder):
        result = advisor.evaluate(model, suite="examples/suites/tiny")
        print(model, result["perplexity"]["value"], [(c["name"], c["accuracy"]) for c in result["choices"]])
