/* A causal Conv-TasNet with cumulative norms, a few frames at a time, on one core; or its separator
 * on the log magnitudes of spectra, whose frames are real parts first, then imaginary parts.
 *
 * Rows are frames here: the channels of a frame lie side by side. Weights come in panels, in which
 * PANEL outputs of an input lie side by side, so that a matmul of few rows reads them once, in order.
 * stream.py packs them, compiles this file and calls it.
 */
#include <math.h>
#include <string.h>

#define EPS 1e-8 /* of Asteroid's norms, added to variances, and of its magnitudes, to powers */
#define QUIET 1e-5f /* of models/spectral.py, added to magnitudes */
#define FRAMES 16 /* at a time, at the most */
#define DEPTH 128 /* inputs of a panel at a time, whose weights stay in the first cache for all tiles */
#define TILE 6 /* rows of a matmul whose sums fit into registers */
#ifdef __AVX512F__
#define WIDTH 16
#else
#define WIDTH 8
#endif
#define PANEL (2 * WIDTH)

typedef float vector __attribute__((vector_size(4 * WIDTH), aligned(4)));

long panel_width(void) { return PANEL; }

long most_frames(void) { return FRAMES; }

/* panels: (out / PANEL, in, PANEL), bias: (out), zeros up to a multiple of PANEL outputs. */
struct matrix {
    const float *panels, *bias;
    long in, out;
};

/* Sums of all frames so far. */
struct running {
    double first, square, count;
};

struct block {
    struct matrix in, residual, skip;
    const float *gamma, *beta, *filter, *filter_bias; /* filter: (tap, channel) */
    float slope, next_slope;
    long taps, dilation;
    float *ring; /* normed frames that the taps reach back to; frame t is at t modulo their number */
    struct running norm, next_norm;
};

enum { SIGMOID, RELU, SOFTMAX };

struct network {
    struct matrix encoder, bottleneck, masks, decoder;
    struct block *blocks;
    /* parts: of a frame that share a mask: 2 of spectra, else 1; filters: masks of a source */
    long n_blocks, hidden, filters, sources, kernel, stride, lookahead, activation, skips, parts;
    float mask_slope;
    long seen; /* frames so far */
    struct running norm;
    /* kernel - stride samples before the next hop; sums after the last hop of each source, frames
     * that wait for their masks: what is kept comes first, then room for FRAMES more */
    float *samples, *tails, *frames;
    /* rows of FRAMES frames */
    float *normed, *x, *skipped, *hidden_rows, *mask_rows, *masked, *decoded;
};

/* y = x W^T + bias + y of some rows and one panel; without bias where it is NULL, without y unless
 * onto. */
static inline __attribute__((always_inline)) void multiply_rows(const float *panel, long depth,
                                                                const float *bias, const float *x,
                                                                long x_step, float *y, long y_step,
                                                                int onto, const int rows)
{
    vector low[TILE], high[TILE];
    for (int r = 0; r < rows; r++) {
        low[r] = bias ? *(const vector *)bias : (vector){0};
        high[r] = bias ? *(const vector *)(bias + WIDTH) : (vector){0};
        if (onto) {
            low[r] += *(vector *)(y + r * y_step);
            high[r] += *(vector *)(y + r * y_step + WIDTH);
        }
    }
    for (long k = 0; k < depth; k++) {
        vector w_low = *(const vector *)(panel + k * PANEL);
        vector w_high = *(const vector *)(panel + k * PANEL + WIDTH);
        /* Large networks' weights come from the last cache or from memory: the next ones are fetched
         * into the second cache while these are computed with. */
        __builtin_prefetch(panel + (DEPTH + k) * PANEL, 0, 2);
        for (int r = 0; r < rows; r++) {
            low[r] += w_low * x[r * x_step + k];
            high[r] += w_high * x[r * x_step + k];
        }
    }
    for (int r = 0; r < rows; r++) {
        *(vector *)(y + r * y_step) = low[r];
        *(vector *)(y + r * y_step + WIDTH) = high[r];
    }
}

/* y = W x + bias for every row, or y + W x + bias. Rows lie x_step and m.out floats apart. */
static void multiply(struct matrix m, const float *x, long x_step, long rows, float *y, int onto)
{
    long tiles = (rows + TILE - 1) / TILE, size = (rows + tiles - 1) / tiles;
    const float *panel = m.panels;
    for (long first = 0; first < m.out; first += PANEL) {
        for (long k = 0; k < m.in; k += DEPTH) {
            long depth = m.in - k < DEPTH ? m.in - k : DEPTH;
            const float *bias = k ? NULL : m.bias + first;
            for (long row = 0; row < rows; row += size) {
                const float *from = x + row * x_step + k;
                float *to = y + row * m.out + first;
#define ROWS(n) multiply_rows(panel, depth, bias, from, x_step, to, m.out, onto || k, n)
                switch (rows - row < size ? rows - row : size) {
                case 1: ROWS(1); break;
                case 2: ROWS(2); break;
                case 3: ROWS(3); break;
                case 4: ROWS(4); break;
                case 5: ROWS(5); break;
                default: ROWS(6);
                }
#undef ROWS
            }
            panel += depth * PANEL;
        }
    }
}

static void activate(float *x, long channels, float slope)
{
#pragma omp simd
    for (long c = 0; c < channels; c++)
        x[c] = x[c] > 0 ? x[c] : slope * x[c];
}

/* Norms a frame by mean and variance of all channels of all frames so far; without gain and bias. */
static void norm(struct running *sums, const float *x, float *y, long channels)
{
    float first = 0, square = 0;
#pragma omp simd reduction(+ : first, square)
    for (long c = 0; c < channels; c++) {
        first += x[c];
        square += x[c] * x[c];
    }
    sums->first += first;
    sums->square += square;
    sums->count += channels;
    double mean = sums->first / sums->count;
    double deviation = sqrt(fmax(sums->square / sums->count - mean * mean, 0) + EPS);
    float scale = 1 / deviation, shift = -mean / deviation;
#pragma omp simd
    for (long c = 0; c < channels; c++)
        y[c] = scale * x[c] + shift;
}

/* Gain and bias of the norm, the depthwise convolution, and the frame into the ring. */
static void convolve(struct block *b, float *x, long channels, long t)
{
    long reach = (b->taps - 1) * b->dilation;
    const float *last = b->filter + (b->taps - 1) * channels;
    float normed[channels];
#pragma omp simd
    for (long c = 0; c < channels; c++) {
        normed[c] = b->gamma[c] * x[c] + b->beta[c];
        x[c] = b->filter_bias[c] + last[c] * normed[c];
    }
    if (reach == 0)
        return;
    for (long k = 0; k + 1 < b->taps; k++) {
        const float *earlier = b->ring + (t + k * b->dilation) % reach * channels;
        const float *tap = b->filter + k * channels;
#pragma omp simd
        for (long c = 0; c < channels; c++)
            x[c] += tap[c] * earlier[c];
    }
    memcpy(b->ring + t % reach * channels, normed, channels * sizeof(float));
}

static void run_block(struct network *n, struct block *b, long frames, int is_last)
{
    float *rows = n->hidden_rows;
    multiply(b->in, n->x, n->bottleneck.out, frames, rows, 0);
    for (long t = 0; t < frames; t++) {
        float *row = rows + t * b->in.out;
        activate(row, n->hidden, b->slope);
        norm(&b->norm, row, row, n->hidden);
        convolve(b, row, n->hidden, n->seen + t);
        activate(row, n->hidden, b->next_slope);
        norm(&b->next_norm, row, row, n->hidden);
    }
    if (n->skips)
        multiply(b->skip, rows, b->in.out, frames, n->skipped, 1);
    if (!(n->skips && is_last))
        multiply(b->residual, rows, b->in.out, frames, n->x, 1);
}

/* What the mask network gave becomes masks: mask (source, filter). */
static void make_mask(const struct network *n, float *mask)
{
    long all = n->sources * n->filters;
    if (n->activation == RELU) {
        activate(mask, all, 0);
        return;
    }
    if (n->activation == SIGMOID) {
        for (long c = 0; c < all; c++)
            mask[c] = 1 / (1 + expf(-mask[c]));
        return;
    }
    for (long c = 0; c < n->filters; c++) {
        float most = mask[c], sum = 0;
        for (long s = 1; s < n->sources; s++)
            most = fmaxf(most, mask[s * n->filters + c]);
        for (long s = 0; s < n->sources; s++)
            sum += mask[s * n->filters + c] = expf(mask[s * n->filters + c] - most);
        for (long s = 0; s < n->sources; s++)
            mask[s * n->filters + c] /= sum;
    }
}

/* What the separator sees of a frame. */
static const float *seen_of(const struct network *n, const float *frame, float *levels)
{
    if (n->parts == 1)
        return frame;
    const float *imaginary = frame + n->filters;
    for (long c = 0; c < n->filters; c++) {
        float power = frame[c] * frame[c] + imaginary[c] * imaginary[c] + (float)EPS;
        levels[c] = logf(sqrtf(power) + QUIET);
    }
    return levels;
}

/* Masks frames of one source: masked (frame, part, filter). */
static void apply_masks(const struct network *n, const float *masks, long frames)
{
    for (long t = 0; t < frames; t++, masks += n->masks.out) {
        const float *frame = n->frames + t * n->encoder.out;
        float *masked = n->masked + t * n->decoder.in;
        for (long part = 0; part < n->parts; part++, frame += n->filters, masked += n->filters)
#pragma omp simd
            for (long c = 0; c < n->filters; c++)
                masked[c] = masks[c] * frame[c];
    }
}

/* Adds decoded frames up and gives the samples that no later frame adds to. */
static void overlap_add(struct network *n, float *sums, long frames, float *estimate)
{
    long overlap = n->kernel - n->stride, done = frames * n->stride;
    memset(sums + overlap, 0, done * sizeof(float));
    for (long t = 0; t < frames; t++)
        for (long k = 0; k < n->kernel; k++)
            sums[t * n->stride + k] += n->decoded[t * n->decoder.out + k];
    memcpy(estimate, sums, done * sizeof(float));
    memmove(sums, sums + done, overlap * sizeof(float));
}

static void run_frames(struct network *n, const float *wav, long frames, float *estimates, long step)
{
    long overlap = n->kernel - n->stride, hops = frames * n->stride, row = n->encoder.out;
    memcpy(n->samples + overlap, wav, hops * sizeof(float));
    float *new = n->frames + n->lookahead * row;
    multiply(n->encoder, n->samples, n->stride, frames, new, 0);
    memmove(n->samples, n->samples + hops, overlap * sizeof(float));

    for (long t = 0; t < frames; t++) {
        float *normed = n->normed + t * row;
        norm(&n->norm, seen_of(n, new + t * row, normed), normed, n->filters);
    }
    multiply(n->bottleneck, n->normed, row, frames, n->x, 0);
    if (n->skips)
        memset(n->skipped, 0, frames * n->blocks[0].skip.out * sizeof(float));
    for (long i = 0; i < n->n_blocks; i++)
        run_block(n, n->blocks + i, frames, i + 1 == n->n_blocks);
    n->seen += frames;

    float *last = n->skips ? n->skipped : n->x;
    long last_row = n->skips ? n->blocks[0].skip.out : n->bottleneck.out;
    activate(last, frames * last_row, n->mask_slope);
    multiply(n->masks, last, last_row, frames, n->mask_rows, 0);
    for (long t = 0; t < frames; t++)
        make_mask(n, n->mask_rows + t * n->masks.out);
    for (long s = 0; s < n->sources; s++) {
        apply_masks(n, n->mask_rows + s * n->filters, frames);
        multiply(n->decoder, n->masked, n->decoder.in, frames, n->decoded, 0);
        overlap_add(n, n->tails + s * (overlap + FRAMES * n->stride), frames, estimates + s * step);
    }
    memmove(n->frames, n->frames + frames * row, n->lookahead * row * sizeof(float));
}

/* wav: (frames stride), the samples after those that are kept. estimates: (source, frames stride). */
void stream(struct network *n, const float *wav, long frames, float *estimates)
{
    for (long t = 0; t < frames; t += FRAMES) {
        long some = frames - t < FRAMES ? frames - t : FRAMES;
        run_frames(n, wav + t * n->stride, some, estimates + t * n->stride, frames * n->stride);
    }
}
