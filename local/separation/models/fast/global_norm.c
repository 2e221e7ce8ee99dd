/* Conv-TasNet's block between its two matmuls, forward and backward, with global norms.
 * native.py compiles this file and calls it.
 */
#include "rows.h"

struct sums {
    double first, square;
};

/* Adds bias to x. Returns the sums of what PReLU makes of it. */
static struct sums add_bias(number *x, long frames, real bias, real slope)
{
    struct sums all = {0, 0};
    for (long start = 0; start < frames; start += STRETCH) {
        long stop = smaller(start + STRETCH, frames);
        real first = 0, square = 0;
#pragma omp simd reduction(+ : first, square)
        for (long t = start; t < stop; t++) {
            real sum = get(x[t]) + bias, y = prelu(sum, slope);
            x[t] = put(sum);
            first += y;
            square += y * y;
        }
        all.first += first;
        all.square += square;
    }
    return all;
}

/* z = PReLU(x + bias), and where that was more than 0. Returns the sums of z. */
static struct sums activate(number *z, flag *positive, const real *x, long frames, real bias,
                            real slope)
{
    struct sums all = {0, 0};
    for (long start = 0; start < frames; start += STRETCH) {
        long stop = smaller(start + STRETCH, frames);
        real first = 0, square = 0;
#pragma omp simd reduction(+ : first, square)
        for (long t = start; t < stop; t++) {
            real sum = x[t] + bias, y = prelu(sum, slope);
            z[t] = put(y);
            positive[t] = sum > 0;
            first += y;
            square += y * y;
        }
        all.first += first;
        all.square += square;
    }
    return all;
}

/* Mean and reciprocal deviation of an example, from the sums of its rows. */
static void moments_of(const struct sums *rows, struct shape s, double *moments)
{
    struct sums all = {0, 0};
    for (long c = 0; c < s.channels; c++) {
        all.first += rows[c].first;
        all.square += rows[c].square;
    }
    double count = (double)s.channels * s.frames, mean = all.first / count;
    moments[0] = mean;
    moments[1] = 1 / sqrt(fmax(all.square / count - mean * mean, 0) + EPS);
}

/* x: in: output of the first matmul, out: with its bias. z: out: input of the second norm.
 * positive: out: where the input of the second PReLU is above 0; z alone does not show that where
 * the slope is negative.
 * moments: out: (example, 4): of the first and of the second norm.
 * scaling: out: (example, 2, channel): what the second norm multiplies with, and adds.
 * rows: room for the sums of every channel.
 * ends: (example): frames of each; those after its end are left out, and z is 0 there.
 * scratch: room for two rows with zeros in every thread.
 */
void global_forward(struct shape whole, struct weights w, number *x, number *z, flag *positive,
                    double *moments, real *scaling, struct sums *rows, const long *ends,
                    real *scratch)
{
#pragma omp parallel num_threads(whole.threads)
    {
        struct shape s = whole;
        real *padded = scratch + omp_get_thread_num() * 2 * row_room(whole);
        real *row = padded + row_room(whole);
        for (long n = 0; n < s.examples; n++) {
            long first = n * s.channels;
            double *m = moments + 4 * n;
            s.frames = ends[n];
            memset(padded, 0, row_room(whole) * sizeof(real));
#pragma omp for
            for (long c = 0; c < s.channels; c++)
                rows[c] = add_bias(x + (first + c) * s.stride, s.frames, w.bias[c], s.slope);
#pragma omp single
            moments_of(rows, s, m);
#pragma omp for
            for (long c = 0; c < s.channels; c++) {
                long at = (first + c) * s.stride;
                real *inside = padded + s.padding, slope = s.slope;
                real scale = m[1] * w.gamma[c], shift = w.beta[c] - m[0] * m[1] * w.gamma[c];
#pragma omp simd
                for (long t = 0; t < s.frames; t++)
                    inside[t] = scale * prelu(get(x[at + t]), slope) + shift;
                convolve(row, padded, w.filter + c * s.taps, s);
                rows[c] = activate(z + at, positive + at, row, s.frames, w.filter_bias[c],
                                   s.next_slope);
                memset(z + at + s.frames, 0, (whole.frames - s.frames) * sizeof(number));
            }
#pragma omp single
            {
                real *gain = scaling + 2 * first, *shift = gain + s.channels;
                moments_of(rows, s, m + 2);
                for (long c = 0; c < s.channels; c++) {
                    gain[c] = m[3] * w.next_gamma[c];
                    shift[c] = w.next_beta[c] - m[2] * m[3] * w.next_gamma[c];
                }
            }
        }
    }
}

/* A norm's gradient: gain times that of what it gave, and, from its statistics, a constant and a
 * multiple of what it took. */
struct terms {
    real gain, constant, multiple;
};

/* For an example, without the gain, which is a channel's.
 * gamma: the norm's. of_gamma, of_beta: gradients of a channel, width numbers apart.
 */
static struct terms terms_of(const double *moments, const real *gamma, const double *of_gamma,
                             const double *of_beta, struct shape s)
{
    double inner = 0, outer = 0, count = (double)s.channels * s.frames;
    long width = OF_FILTER + s.taps;
    for (long c = 0; c < s.channels; c++) {
        inner += gamma[c] * of_beta[c * width] / count;
        outer += gamma[c] * of_gamma[c * width] / count;
    }
    double mean = moments[0], scale = moments[1];
    struct terms found = {0, scale * (mean * scale * outer - inner), -scale * scale * outer};
    return found;
}

/* From z to the first norm's output: the PReLU, and what the convolution's weights get.
 * xhat: the normed row, without gain and bias, zeros around it.
 */
static void back_through_filter(struct shape s, struct weights w, long c, number *grad,
                                const number *z, const flag *positive, const real *xhat,
                                struct terms terms, double *out)
{
    out[OF_NEXT_SLOPE] = out[OF_FILTER_BIAS] = 0;
    for (long start = 0; start < s.frames; start += STRETCH) {
        long stop = smaller(start + STRETCH, s.frames);
        real slopes = 0, sum = 0, slope = s.next_slope;
#pragma omp simd reduction(+ : slopes, sum)
        for (long t = start; t < stop; t++) {
            real z_t = get(z[t]), g = get(grad[t]);
            g = terms.gain * g + terms.constant + terms.multiple * z_t;
            slopes += positive[t] ? 0 : g * z_t;
            g = positive[t] ? g : slope * g;
            grad[t] = put(g);
            sum += g;
        }
        out[OF_NEXT_SLOPE] += slopes / s.next_slope;
        out[OF_FILTER_BIAS] += sum;
    }
    filter_gradients(s, w, c, grad, xhat, out);
}

/* From the input of the first norm to the matmul's output x. row: gradient, times the gain. */
static void back_through_prelu(struct shape s, number *grad, const number *x, const real *row,
                               struct terms terms, double *out)
{
    out[OF_BIAS] = out[OF_SLOPE] = 0;
    for (long start = 0; start < s.frames; start += STRETCH) {
        long stop = smaller(start + STRETCH, s.frames);
        real slopes = 0, sum = 0, slope = s.slope;
#pragma omp simd reduction(+ : slopes, sum)
        for (long t = start; t < stop; t++) {
            real x_t = get(x[t]), g = row[t];
            g += terms.constant + terms.multiple * prelu(x_t, slope);
            slopes += x_t > 0 ? 0 : g * x_t;
            g = x_t > 0 ? g : slope * g;
            grad[t] = put(g);
            sum += g;
        }
        out[OF_SLOPE] += slopes;
        out[OF_BIAS] += sum;
    }
}

/* grad: in: of the second norm's output, out: of the first matmul's output.
 * x, z, positive, moments: what global_forward wrote.
 * total, with_z: (example, channel), sums of grad and of grad z over frames.
 * gradients: out: (example, channel, OF_FILTER + taps).
 * ends: as above; grad is 0 after them, and stays so.
 */
void global_backward(struct shape whole, struct weights w, number *grad, const number *x,
                     const number *z, const flag *positive, const double *moments,
                     const real *total, const real *with_z, double *gradients, const long *ends,
                     real *scratch)
{
    long width = OF_FILTER + whole.taps;
    struct terms terms = {0}, next_terms = {0};
#pragma omp parallel num_threads(whole.threads)
    {
        struct shape s = whole;
        real *padded = scratch + omp_get_thread_num() * 2 * row_room(whole);
        real *row = padded + row_room(whole);
        for (long n = 0; n < s.examples; n++) {
            long first = n * s.channels;
            s.frames = ends[n];
            const double *m = moments + 4 * n;
            double *out = gradients + first * width;
            memset(padded, 0, row_room(s) * sizeof(real));
#pragma omp single
            {
                for (long c = 0; c < s.channels; c++) {
                    double sum = total[first + c];
                    out[c * width + OF_NEXT_BETA] = sum;
                    out[c * width + OF_NEXT_GAMMA] = m[3] * (with_z[first + c] - m[2] * sum);
                }
                next_terms = terms_of(m + 2, w.next_gamma, out + OF_NEXT_GAMMA, out + OF_NEXT_BETA, s);
            }
#pragma omp for
            for (long c = 0; c < s.channels; c++) {
                long at = (first + c) * s.stride;
                struct terms of_c = next_terms;
                real *xhat = padded + s.padding, slope = s.slope, scale = m[1], minus = -m[0] * m[1];
                of_c.gain = m[3] * w.next_gamma[c];
#pragma omp simd
                for (long t = 0; t < s.frames; t++)
                    xhat[t] = scale * prelu(get(x[at + t]), slope) + minus;
                back_through_filter(s, w, c, grad + at, z + at, positive + at, padded, of_c,
                                    out + c * width);
            }
#pragma omp single
            terms = terms_of(m, w.gamma, out + OF_GAMMA, out + OF_BETA, s);
            memset(padded, 0, row_room(s) * sizeof(real));
#pragma omp for
            for (long c = 0; c < s.channels; c++) {
                long at = (first + c) * s.stride;
                real *inside = padded + row_room(s) - s.frames - s.padding, back[s.taps];
                for (long k = 0; k < s.taps; k++)
                    back[k] = m[1] * w.gamma[c] * w.filter[c * s.taps + s.taps - 1 - k];
                for (long t = 0; t < s.frames; t++)
                    inside[t] = get(grad[at + t]);
                convolve(row, padded, back, s);
                back_through_prelu(s, grad + at, x + at, row, terms, out + c * width);
            }
        }
    }
}
