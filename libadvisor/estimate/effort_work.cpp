// What each technique does to a model, as multiples of the model's own numbers. Operations after the papers and the
// reference tools; efficiencies so that published timings come out (tests/estimate/effort_test.cpp lists them and how
// far off the model is). `sd` is as wide as these timings scatter: settings and tools differ by factors.
#include <algorithm>
#include <array>

#include "estimate/effort.h"

namespace advisor {

namespace {

// Calibration sets of the reference tools.
constexpr double gptq_tokens = 512 * 2048;    // LLM Compressor's examples; the paper has 128 sequences, GPTQModel 1,024
constexpr double paper_tokens = 128 * 2048;   // GPTQ, SparseGPT, Wanda, OmniQuant, AutoRound
constexpr double awq_tokens = 256 * 512;      // LLM Compressor's example; AutoAWQ has 128 sequences
constexpr double imatrix_tokens = 100 * 512;  // a hundred chunks, llama-imatrix

// Shares of the peak. Whole blocks at large batches reach 40 %, as in AutoRound's 12 minutes for 8B; searches and
// training steps work on one module at a time, copy weights back and forth and fake the rounding in elementwise
// kernels: 15 % makes OmniQuant's 1 to 16 hours and AutoAWQ's 10 minutes to one hour come out. Observers on every
// activation, one sequence at a time: 4 % makes LLM Compressor's 20 minutes for static activation scales come out.
constexpr double whole_blocks = 0.4, single_modules = 0.15, observers = 0.04;

// Elementwise work on an accelerator, in bytes per parameter.
constexpr double rounding = 16;  // a few kernels that read and write 16-bit values
// HQQ: 20 iterations of about ten such kernels.
constexpr double half_quadratic = 20 * 10 * 4;
// AWQ's clip search: ten ratios, partial outputs of 512 tokens per weight, written and read in 16 bits or so.
constexpr double clip_search = 10 * 512 * 6;

// Operations per parameter on the host, where bench_compress measures 1.2e10 per second and core.
constexpr double round_blocks = 5;  // Q4_0, Q8_0: the extreme of a block, then one pass
constexpr double fit_blocks = 300;  // K-quants: 15 to 21 trial scales, each a weighted least squares, twice
constexpr double codebook = 2000;   // IQ types: 60 to 171 s on 16 cores for 8B, see quantize_timing
// Whole jobs of our own, verification included: stream.sh's 0.26 GB of bf16 per second and core; processor seconds of
// the jobs of one billion weights in docs/compression.md (Q4_K_M 14.8, Q3_K_M 14.7, Q5_K_M 13.9, Q6_K 9.6;
// IQ4_XS 24.6).
constexpr double own_job = 90, own_fit = 170, own_codebook = 300;
constexpr double mixed_levels = 4;  // bit widths tried per layer

constexpr double tools_differ = 0.9, paths_differ = 0.5;

// AQLM: 1 day for 7B and 10 to 14 days for 70B on one A100 (its README) are 6e8 operations per parameter at 15 % of the
// peak. QuIP#: 25 hours on 8 A100 for the Hessians of a 70B model are as many.
constexpr double vector_codes = 3e8;  // tokens · forwards, at two operations each

constexpr std::string_view gptq_paper = "https://arxiv.org/abs/2210.17323";
constexpr std::string_view llmc_runtime = "https://docs.vllm.ai/projects/llm-compressor/en/0.11.0/guides/runtime/";
constexpr std::string_view quantize_timing = "https://github.com/ikawrakow/ik_llama.cpp/pull/327";
constexpr std::string_view aqlm_readme = "https://github.com/Vahe1994/AQLM";
constexpr std::string_view measured_here = "benchmarks/stream.sh";
constexpr std::string_view gguf_here = "benchmarks/gguf_vs_llama_quantize.py", lab_here = "benchmarks/lab_table.py";

// What our backend shows to the model unless it is told otherwise (compress/calibration.h).
constexpr double own_tokens = 128 * 2048;
// AWQ: 20 powers of the inputs, each with and without the weights' (techniques/awq.cpp).
constexpr double own_scalings = 2 * 20;
// A budget first passes the text through the dense model; then each group of matrices is rounded alone and 4 texts of
// 256 tokens go on through half of the blocks: with 4 groups in each of 80 layers 0.6 of another pass.
constexpr double own_measuring = 1.6;

TechniqueWork rounds(std::string_view technique, double passes = rounding,
                     std::string_view what = "one pass over the weights", std::string_view source = llmc_runtime) {
  TechniqueWork w;
  w.technique = technique, w.passes = passes, w.what = what, w.source = source, w.sd = tools_differ;
  return w;
}

TechniqueWork on_host(std::string_view technique, double operations, std::string_view what) {
  TechniqueWork w;
  w.technique = technique, w.host_operations = operations, w.what = what, w.source = quantize_timing;
  w.whole_model = false, w.intermediate_file = true, w.sd = tools_differ;
  return w;
}

TechniqueWork data_driven(std::string_view technique, double tokens, double forwards, double efficiency,
                          std::string_view what, std::string_view source) {
  TechniqueWork w;
  w.technique = technique, w.tokens = tokens, w.forwards = forwards, w.efficiency = efficiency, w.passes = rounding;
  w.what = what, w.source = source, w.sd = tools_differ;
  return w;
}

/// GPTQ and its family: two forward passes (before and after each block is changed), XᵀX, the solver.
TechniqueWork second_order(std::string_view technique, double tokens, std::string_view source, double solves = 1) {
  auto w =
      data_driven(technique, tokens, 2, whole_blocks,
                  "two forward passes, inputs' Gram matrices in fp32, column by column through each matrix", source);
  w.grams = 1, w.solves = solves;
  return w;
}

TechniqueWork with_clip_search(TechniqueWork w) {
  w.passes += clip_search;
  return w;
}

TechniqueWork with_learned_rotations(TechniqueWork w) {
  // SpinQuant: 100 steps on 8 sequences of 2,048 tokens, forward and backward, before GPTQ
  w.forwards += 3 * (100 * 8 * 2048) / w.tokens;
  w.what = "rotations learned by gradient, then GPTQ";
  return w;
}

TechniqueWork block_by_block(TechniqueWork w, std::string_view what) {
  w.whole_model = false, w.what = what;
  return w;
}

TechniqueWork with_imatrix(TechniqueWork w) {
  w.tokens = imatrix_tokens, w.forwards = 1, w.efficiency = whole_blocks, w.whole_model = true;
  return w;
}

const std::array reference_tools{
    rounds("rtn"),
    rounds("fp8"),
    rounds("int8"),
    rounds("bnb"),
    rounds("bnb-int8"),
    rounds("bnb-fp4"),
    rounds("nf4"),
    rounds("nvfp4"),
    rounds("mxfp4"),
    rounds("mlx"),
    rounds("magnitude"),
    rounds("mixed", mixed_levels* rounding, "one pass over the weights per bit width tried"),
    rounds("hqq", half_quadratic, "20 half-quadratic iterations over the weights",
           "https://mobiusml.github.io/hqq_blog/"),
    on_host("gguf", fit_blocks, "llama-quantize on the host's cores"),
    on_host("gguf-legacy", round_blocks, "llama-quantize on the host's cores"),
    on_host("gguf-k", fit_blocks, "llama-quantize on the host's cores"),
    with_imatrix(on_host("gguf-i", codebook, "importance matrix, then llama-quantize on the host's cores")),
    second_order("gptq", gptq_tokens, llmc_runtime),
    second_order("quarot", paper_tokens, "https://arxiv.org/abs/2404.00456"),
    with_learned_rotations(second_order("spinquant", paper_tokens, "https://arxiv.org/abs/2405.16406")),
    second_order("sparsegpt", paper_tokens, "https://arxiv.org/abs/2301.00774"),
    second_order("slicegpt", paper_tokens, "https://arxiv.org/abs/2401.15024"),
    // eight to ten bit widths of each matrix are solved and measured, then the chosen one
    block_by_block(
        second_order("exl2", 100 * 2048, "https://kaitchup.substack.com/p/run-llama-31-70b-instruct-on-your", 10),
        "every matrix solved at about ten bit widths, errors measured"),
    block_by_block(second_order("exl3", 100 * 2048, "https://github.com/turboderp-org/exllamav3", 10),
                   "inputs' Gram matrices, trellis search in every matrix; taken as EXL2"),
    with_clip_search(data_driven("awq", awq_tokens, 21, single_modules,
                                 "20 scalings tried on each module, 10 clippings on each group", llmc_runtime)),
    data_driven("smoothquant", gptq_tokens, 1, observers, "observers on the activations of one forward pass",
                llmc_runtime),
    // 200 steps on 8 sequences, forward and backward (three forwards' worth), and two passes for inputs and outputs
    data_driven("autoround", paper_tokens, 2 + 3 * (200 * 8 * 2048) / paper_tokens, whole_blocks,
                "200 gradient steps on each block", "https://github.com/intel/auto-round/pull/454"),
    data_driven("omniquant", paper_tokens, 20 * 3, single_modules, "20 epochs of gradients on each block",
                "https://arxiv.org/abs/2308.13137"),
    data_driven("aqlm", 1024 * 4096, vector_codes / (1024 * 4096), single_modules,
                "codebooks searched and tuned block by block", aqlm_readme),
    data_driven("quip-sharp", 1024 * 4096, vector_codes / (1024 * 4096), single_modules,
                "Hessians over many sequences, lattice codes, fine-tuning",
                "https://github.com/Cornell-RelaxML/quip-sharp/issues/55"),
    data_driven("wanda", paper_tokens, 2, whole_blocks, "two forward passes, one selection per weight",
                "https://arxiv.org/abs/2306.11695"),
    data_driven("owl", paper_tokens, 3, whole_blocks, "outliers of each layer, then as Wanda",
                "https://arxiv.org/abs/2310.05175"),
    data_driven("flap", paper_tokens, 1, whole_blocks, "fluctuation of the activations in one forward pass",
                "https://arxiv.org/abs/2312.11983"),
    data_driven("shortgpt", paper_tokens, 1, whole_blocks, "similarity of each layer's input and output in one pass",
                "https://arxiv.org/abs/2403.03853"),
    data_driven("depth", paper_tokens, 1, whole_blocks, "importance of each layer in one forward pass",
                "https://arxiv.org/abs/2403.03853"),
    // gradients, then LoRA on 50,000 samples of some 256 tokens, two epochs
    data_driven("llm-pruner", 50e3 * 256, 2 * 3, single_modules, "gradients, then LoRA on 50,000 samples",
                "https://arxiv.org/abs/2305.11627"),
};

TechniqueWork ours(std::string_view technique, double operations, std::string_view what,
                   std::string_view source = measured_here) {
  auto w = on_host(technique, operations, what);
  w.own = true, w.intermediate_file = false, w.source = source, w.sd = paths_differ;
  return w;
}

/// Block by block: sequences go through the weights to be observed and through the quantized ones to be passed on, as
/// block_work() of compress/estimate.cpp counts it.
TechniqueWork ours_by_blocks(std::string_view technique, double grams, double solves, double scalings,
                             std::string_view what, double passes = 2) {
  auto w = ours(technique, own_job, what, lab_here);
  w.tokens = own_tokens, w.forwards = passes, w.grams = grams, w.solves = solves, w.scalings = scalings;
  return w;
}

const std::array own_backend{
    ours("none", own_job, "copied or converted tile by tile, then verified"),
    ours("rtn", own_job, "rounded tile by tile, then verified"),
    ours("gguf-legacy", own_job, "rounded tile by tile, then verified"),
    ours("gguf-k", own_fit, "scales and minima searched block by block, then verified", gguf_here),
    ours("gguf-i", own_codebook, "scales searched block by block, then verified", gguf_here),
    ours_by_blocks("smoothquant", 0, 0, 0, "inputs observed, weights rounded, both block by block, then verified"),
    ours_by_blocks("gptq", 1, 1, 0, "inputs' Gram matrices and solver block by block, then verified"),
    ours_by_blocks("awq", 1, 0, own_scalings, "40 scalings tried per input block by block, then verified"),
    ours_by_blocks("mixed", 1, 1, 0, "loss of every matrix measured at each scheme, then gptq, then verified",
                   2 + own_measuring),
};

}  // namespace

const TechniqueWork* technique_work(std::string_view technique, bool own) {
  const auto find = [&](const auto& table) -> const TechniqueWork* {
    const auto it = std::find_if(table.begin(), table.end(), [&](const auto& w) { return w.technique == technique; });
    return it == table.end() ? nullptr : &*it;
  };
  if (own)
    if (const auto* work = find(own_backend)) return work;
  return find(reference_tools);
}

}  // namespace advisor
