/* Conv-TasNet's block between its two matmuls, forward and backward, with cumulative norms: a frame
 * is normed by mean and variance of all channels of the frames up to it. And such a norm by itself.
 * native.py compiles this file and calls it.
 *
 * The norms' sums over channels are real; over frames they are added up in double.
 */
#include "rows.h"

enum {
    PADDED, PADDED_GRAD, ROW, FIRST, SECOND, OWN_ROWS, /* rows of a thread */
    SCALE = 0, SHIFT, GAIN, CONSTANT, MULTIPLE, MEAN, DEVIATION /* rows that threads share */
};

struct scratch {
    real *own[OWN_ROWS], *all, *shared;
    long room;
};

static struct scratch scratch_of(struct shape s, real *memory)
{
    struct scratch rows = {.all = memory, .room = row_room(s)};
    for (long k = 0; k < OWN_ROWS; k++)
        rows.own[k] = memory + (omp_get_thread_num() * OWN_ROWS + k) * rows.room;
    rows.shared = memory + omp_get_num_threads() * OWN_ROWS * rows.room;
    memset(rows.own[PADDED], 0, rows.room * sizeof(real));
    memset(rows.own[PADDED_GRAD], 0, rows.room * sizeof(real));
    return rows;
}

static real *shared_row(struct scratch rows, int name) { return rows.shared + name * rows.room; }

static void clear_sums(struct scratch rows)
{
    memset(rows.own[FIRST], 0, rows.room * sizeof(real));
    memset(rows.own[SECOND], 0, rows.room * sizeof(real));
}

/* Over all threads, what they have in a row at frame t. */
static double over_threads(struct scratch rows, int name, long t)
{
    double sum = 0;
    for (long thread = 0; thread < omp_get_num_threads(); thread++)
        sum += rows.all[(thread * OWN_ROWS + name) * rows.room + t];
    return sum;
}

/* moments: out: mean of every frame, then reciprocal deviation. Rows SCALE, SHIFT, MEAN: to norm
 * with.
 */
static void norm_frames(struct shape s, struct scratch rows, double *moments)
{
    double first = 0, square = 0;
    real *scale = shared_row(rows, SCALE), *shift = shared_row(rows, SHIFT);
    for (long t = 0; t < s.frames; t++) {
        double count = (double)s.channels * (t + 1);
        first += over_threads(rows, FIRST, t);
        square += over_threads(rows, SECOND, t);
        double mean = first / count;
        moments[t] = mean;
        moments[s.frames + t] = 1 / sqrt(fmax(square / count - mean * mean, 0) + EPS);
        scale[t] = moments[s.frames + t];
        shift[t] = -mean * moments[s.frames + t];
        shared_row(rows, MEAN)[t] = mean;
    }
}

/* x: in: output of the first matmul, out: with its bias.
 * z: out: the second norm's output without its gain and bias.
 * positive: out: where the input of the second PReLU is above 0.
 * moments: out: (example, 4, frame): mean and reciprocal deviation of the first and the second norm.
 * scratch: room for OWN_ROWS rows with zeros in every thread, and for those that they share.
 */
void cumulative_forward(struct shape s, struct weights w, number *x, number *z, flag *positive,
                        double *moments, real *scratch)
{
#pragma omp parallel num_threads(s.threads)
    {
        struct scratch rows = scratch_of(s, scratch);
        real *first = rows.own[FIRST], *square = rows.own[SECOND];
        const real *scale = shared_row(rows, SCALE), *shift = shared_row(rows, SHIFT);
        for (long n = 0; n < s.examples; n++) {
            double *m = moments + 4 * s.frames * n;
            clear_sums(rows);
#pragma omp for
            for (long c = 0; c < s.channels; c++) {
                number *x_c = x + (n * s.channels + c) * s.stride;
                real bias = w.bias[c], slope = s.slope;
#pragma omp simd
                for (long t = 0; t < s.frames; t++) {
                    real sum = get(x_c[t]) + bias, y = prelu(sum, slope);
                    x_c[t] = put(sum);
                    first[t] += y;
                    square[t] += y * y;
                }
            }
#pragma omp single
            norm_frames(s, rows, m);
            clear_sums(rows);
#pragma omp for
            for (long c = 0; c < s.channels; c++) {
                long at = (n * s.channels + c) * s.stride;
                real *inside = rows.own[PADDED] + s.padding, *row = rows.own[ROW];
                real gamma = w.gamma[c], beta = w.beta[c], bias = w.filter_bias[c];
                real slope = s.slope, next_slope = s.next_slope;
#pragma omp simd
                for (long t = 0; t < s.frames; t++)
                    inside[t] = gamma * (scale[t] * prelu(get(x[at + t]), slope) + shift[t]) + beta;
                convolve(row, rows.own[PADDED], w.filter + c * s.taps, s);
#pragma omp simd
                for (long t = 0; t < s.frames; t++) {
                    real sum = row[t] + bias, y = prelu(sum, next_slope);
                    z[at + t] = put(y);
                    positive[at + t] = sum > 0;
                    first[t] += y;
                    square[t] += y * y;
                }
            }
#pragma omp single
            norm_frames(s, rows, m + 2 * s.frames);
#pragma omp for
            for (long c = 0; c < s.channels; c++) {
                number *z_c = z + (n * s.channels + c) * s.stride;
#pragma omp simd
                for (long t = 0; t < s.frames; t++)
                    z_c[t] = put(scale[t] * get(z_c[t]) + shift[t]);
            }
        }
    }
}

/* A norm's gradient at frame t: GAIN times that of what it gave, before gain and bias, a CONSTANT
 * from its statistics, and a MULTIPLE of what it gave.
 *
 * With h the gradient of the normed frame y = r (x - m), the sums over a frame's channels are
 * A = sum h and C = sum h y. Then dL/dv = -r^2 C / 2 of the variance v, dL/dm = -r A - 2 m dL/dv of
 * the mean, and a frame takes part in those of all frames after it, each divided by its count.
 */
static void find_terms(struct shape s, struct scratch rows, const double *moments)
{
    double of_first = 0, of_square = 0;
    for (long t = s.frames - 1; t >= 0; t--) {
        double mean = moments[t], scale = moments[s.frames + t], count = (double)s.channels * (t + 1);
        double of_variance = -scale * scale * over_threads(rows, SECOND, t) / 2;
        of_first += (-scale * over_threads(rows, FIRST, t) - 2 * mean * of_variance) / count;
        of_square += of_variance / count;
        shared_row(rows, GAIN)[t] = scale;
        shared_row(rows, CONSTANT)[t] = of_first + 2 * of_square * mean;
        shared_row(rows, MULTIPLE)[t] = 2 * of_square / scale;
        shared_row(rows, MEAN)[t] = mean;
        shared_row(rows, DEVIATION)[t] = 1 / scale;
    }
}

/* From the second norm's output to the convolution's. */
static void back_through_activation(struct shape s, struct weights w, long c, struct scratch rows,
                                    number *grad, const number *z, const flag *positive, double *out)
{
    const real *gain = shared_row(rows, GAIN), *constant = shared_row(rows, CONSTANT);
    const real *multiple = shared_row(rows, MULTIPLE), *mean = shared_row(rows, MEAN);
    const real *deviation = shared_row(rows, DEVIATION);
    real gamma = w.next_gamma[c], slope = s.next_slope;
    out[OF_NEXT_SLOPE] = out[OF_FILTER_BIAS] = 0;
    for (long start = 0; start < s.frames; start += STRETCH) {
        long stop = smaller(start + STRETCH, s.frames);
        real slopes = 0, sum = 0;
#pragma omp simd reduction(+ : slopes, sum)
        for (long t = start; t < stop; t++) {
            real z_t = get(z[t]), y = deviation[t] * z_t + mean[t];
            real g = gain[t] * gamma * get(grad[t]) + constant[t] + multiple[t] * z_t;
            slopes += positive[t] ? 0 : g * y;
            g = positive[t] ? g : slope * g;
            grad[t] = put(g);
            sum += g;
        }
        out[OF_NEXT_SLOPE] += slopes / s.next_slope;
        out[OF_FILTER_BIAS] += sum;
    }
}

/* Gradient of the normed row, without gain and bias, into ROW. */
static void back_through_convolution(struct shape s, struct weights w, long c, struct scratch rows,
                                     const number *grad)
{
    real *inside = rows.own[PADDED_GRAD] + rows.room - s.frames - s.padding, back[s.taps];
    for (long k = 0; k < s.taps; k++)
        back[k] = w.gamma[c] * w.filter[c * s.taps + s.taps - 1 - k];
#pragma omp simd
    for (long t = 0; t < s.frames; t++)
        inside[t] = get(grad[t]);
    convolve(rows.own[ROW], rows.own[PADDED_GRAD], back, s);
}

/* From the input of the first norm to the matmul's output x. */
static void back_through_prelu(struct shape s, struct scratch rows, number *grad, const number *x,
                               double *out)
{
    const real *scale = shared_row(rows, SCALE), *shift = shared_row(rows, SHIFT);
    const real *constant = shared_row(rows, CONSTANT), *multiple = shared_row(rows, MULTIPLE);
    const real *row = rows.own[ROW];
    real slope = s.slope;
    out[OF_BIAS] = out[OF_SLOPE] = 0;
    for (long start = 0; start < s.frames; start += STRETCH) {
        long stop = smaller(start + STRETCH, s.frames);
        real slopes = 0, sum = 0;
#pragma omp simd reduction(+ : slopes, sum)
        for (long t = start; t < stop; t++) {
            real x_t = get(x[t]), normed = scale[t] * prelu(x_t, slope) + shift[t];
            real g = scale[t] * row[t] + constant[t] + multiple[t] * normed;
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
 * x, z, positive, moments: what cumulative_forward wrote.
 * total, with_z: (example, channel), sums of grad and of grad z over frames.
 * gradients: out: (example, channel, OF_FILTER + taps).
 */
void cumulative_backward(struct shape s, struct weights w, number *grad, const number *x,
                         const number *z, const flag *positive, const double *moments,
                         const real *total, const real *with_z, double *gradients, real *scratch)
{
    long width = OF_FILTER + s.taps;
#pragma omp parallel num_threads(s.threads)
    {
        struct scratch rows = scratch_of(s, scratch);
        real *first = rows.own[FIRST], *second = rows.own[SECOND], *row = rows.own[ROW];
        real *xhat = rows.own[PADDED] + s.padding;
        real *scale = shared_row(rows, SCALE), *shift = shared_row(rows, SHIFT);
        for (long n = 0; n < s.examples; n++) {
            const double *m = moments + 4 * s.frames * n;
            clear_sums(rows);
#pragma omp for
            for (long c = 0; c < s.channels; c++) {
                long at = (n * s.channels + c) * s.stride;
                double *out = gradients + (n * s.channels + c) * width;
                real gamma = w.next_gamma[c];
                out[OF_NEXT_BETA] = total[n * s.channels + c];
                out[OF_NEXT_GAMMA] = with_z[n * s.channels + c];
#pragma omp simd
                for (long t = 0; t < s.frames; t++) {
                    real h = gamma * get(grad[at + t]);
                    first[t] += h;
                    second[t] += h * get(z[at + t]);
                }
            }
#pragma omp single
            {
                find_terms(s, rows, m + 2 * s.frames);
                for (long t = 0; t < s.frames; t++) {
                    scale[t] = m[s.frames + t];
                    shift[t] = -m[t] * m[s.frames + t];
                }
            }
            clear_sums(rows);
#pragma omp for
            for (long c = 0; c < s.channels; c++) {
                long at = (n * s.channels + c) * s.stride;
                double *out = gradients + (n * s.channels + c) * width;
                real slope = s.slope;
#pragma omp simd
                for (long t = 0; t < s.frames; t++)
                    xhat[t] = scale[t] * prelu(get(x[at + t]), slope) + shift[t];
                back_through_activation(s, w, c, rows, grad + at, z + at, positive + at, out);
                filter_gradients(s, w, c, grad + at, rows.own[PADDED], out);
                back_through_convolution(s, w, c, rows, grad + at);
#pragma omp simd
                for (long t = 0; t < s.frames; t++) {
                    first[t] += row[t];
                    second[t] += row[t] * xhat[t];
                }
            }
#pragma omp single
            find_terms(s, rows, m);
#pragma omp for
            for (long c = 0; c < s.channels; c++) {
                long at = (n * s.channels + c) * s.stride;
                back_through_convolution(s, w, c, rows, grad + at);
                back_through_prelu(s, rows, grad + at, x + at,
                                   gradients + (n * s.channels + c) * width);
            }
        }
    }
}

/* The norm by itself. y: out: (x - mean) scale gamma + beta. moments: out: (example, 2, frame). */
void cumulative_norm(struct shape s, const real *gamma, const real *beta, const number *x, number *y,
                     double *moments, real *scratch)
{
#pragma omp parallel num_threads(s.threads)
    {
        struct scratch rows = scratch_of(s, scratch);
        real *first = rows.own[FIRST], *square = rows.own[SECOND];
        const real *scale = shared_row(rows, SCALE), *mean = shared_row(rows, MEAN);
        for (long n = 0; n < s.examples; n++) {
            clear_sums(rows);
#pragma omp for
            for (long c = 0; c < s.channels; c++) {
                const number *x_c = x + (n * s.channels + c) * s.stride;
#pragma omp simd
                for (long t = 0; t < s.frames; t++) {
                    real x_t = get(x_c[t]);
                    first[t] += x_t;
                    square[t] += x_t * x_t;
                }
            }
#pragma omp single
            norm_frames(s, rows, moments + 2 * s.frames * n);
#pragma omp for
            for (long c = 0; c < s.channels; c++) {
                long at = (n * s.channels + c) * s.stride;
                real gain = gamma[c], bias = beta[c];
#pragma omp simd
                for (long t = 0; t < s.frames; t++)
                    y[at + t] = put((get(x[at + t]) - mean[t]) * scale[t] * gain + bias);
            }
        }
    }
}

/* grad: of y. of_x: out. gradients: out: (example, channel, 2), of gamma and beta. */
void cumulative_norm_backward(struct shape s, const real *gamma, const number *grad, const number *x,
                              const double *moments, number *of_x, double *gradients, real *scratch)
{
#pragma omp parallel num_threads(s.threads)
    {
        struct scratch rows = scratch_of(s, scratch);
        real *first = rows.own[FIRST], *second = rows.own[SECOND], *xhat = rows.own[ROW];
        real *mean = shared_row(rows, MEAN), *gain = shared_row(rows, GAIN);
        const real *constant = shared_row(rows, CONSTANT), *multiple = shared_row(rows, MULTIPLE);
        for (long n = 0; n < s.examples; n++) {
            const double *m = moments + 2 * s.frames * n;
            clear_sums(rows);
#pragma omp single
            for (long t = 0; t < s.frames; t++) {
                mean[t] = m[t];
                gain[t] = m[s.frames + t];
            }
#pragma omp for
            for (long c = 0; c < s.channels; c++) {
                long at = (n * s.channels + c) * s.stride;
                real gamma_c = gamma[c];
#pragma omp simd
                for (long t = 0; t < s.frames; t++) {
                    real h = gamma_c * get(grad[at + t]);
                    xhat[t] = (get(x[at + t]) - mean[t]) * gain[t];
                    first[t] += h;
                    second[t] += h * xhat[t];
                }
                gradients[2 * (n * s.channels + c)] = dot(grad + at, xhat, s.frames);
                gradients[2 * (n * s.channels + c) + 1] = total(grad + at, 0, s.frames);
            }
#pragma omp single
            find_terms(s, rows, m);
#pragma omp for
            for (long c = 0; c < s.channels; c++) {
                long at = (n * s.channels + c) * s.stride;
                real gamma_c = gamma[c];
#pragma omp simd
                for (long t = 0; t < s.frames; t++) {
                    real normed = (get(x[at + t]) - mean[t]) * gain[t];
                    real g = gain[t] * gamma_c * get(grad[at + t]);
                    of_x[at + t] = put(g + constant[t] + multiple[t] * normed);
                }
            }
        }
    }
}
