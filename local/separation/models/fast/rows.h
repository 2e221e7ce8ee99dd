/* Rows of a convolutional block, for the files that compute what is between its two matmuls.
 *
 * Matrices are (example, channel, frame), rows stride numbers apart, of float unless DOUBLE or BFLOAT16 is defined; bfloat16 is
 * computed with in float. A channel's frames are a row, which a processor's first caches hold, so
 * that PReLU, norm, depthwise convolution, PReLU and the sums of the next norm go over memory once or
 * twice.
 *
 * The depthwise convolution reads the normed row at t + k dilation - padding, zeros around it; what
 * comes out is as long as the row.
 */
#include <math.h>
#include <omp.h>
#include <string.h>

#define STRETCH 1024 /* frames whose sum is taken as they come; sums of these are double */
#define EPS 1e-8 /* of Asteroid's norms, added to variances */

#ifdef BFLOAT16
typedef float real;
typedef unsigned short number;

static inline real get(number x)
{
    union { unsigned bits; float value; } wide = {(unsigned)x << 16};
    return wide.value;
}

static inline number put(real x) /* to the nearest, ties to even */
{
    union { float value; unsigned bits; } wide = {x};
    return (wide.bits + 0x7fff + (wide.bits >> 16 & 1)) >> 16;
}
#else
#ifdef DOUBLE
typedef double real;
#else
typedef float real;
#endif
typedef real number;
static inline real get(number x) { return x; }
static inline number put(real x) { return x; }
#endif

struct shape {
    long examples, channels, frames, stride, taps, dilation, padding, threads;
    double slope, next_slope; /* of the PReLUs */
};

/* Weights of a channel between the two matmuls. */
struct weights {
    const real *bias, *gamma, *beta, *filter, *filter_bias, *next_gamma, *next_beta;
};

typedef unsigned char flag;

static inline long smaller(long a, long b) { return a < b ? a : b; }

static inline long row_room(struct shape s) { return s.frames + (s.taps - 1) * s.dilation; }

static inline real prelu(real x, real slope) { return x > 0 ? x : slope * x; }

/* y[t] = sum_k filter[k] x[t + k dilation] */
static void convolve(real *restrict y, const real *restrict x, const real *filter, struct shape s)
{
    if (s.taps == 3) {
        const real *x1 = x + s.dilation, *x2 = x1 + s.dilation;
        real w0 = filter[0], w1 = filter[1], w2 = filter[2];
#pragma omp simd
        for (long t = 0; t < s.frames; t++)
            y[t] = w0 * x[t] + w1 * x1[t] + w2 * x2[t];
        return;
    }
    memset(y, 0, s.frames * sizeof(real));
    for (long k = 0; k < s.taps; k++) {
        const real *shifted = x + k * s.dilation;
        real w = filter[k];
#pragma omp simd
        for (long t = 0; t < s.frames; t++)
            y[t] += w * shifted[t];
    }
}

static double dot(const number *a, const real *b, long frames)
{
    double all = 0;
    for (long start = 0; start < frames; start += STRETCH) {
        long stop = smaller(start + STRETCH, frames);
        real sum = 0;
#pragma omp simd reduction(+ : sum)
        for (long t = start; t < stop; t++)
            sum += get(a[t]) * b[t];
        all += sum;
    }
    return all;
}

static double total(const number *a, long from, long to)
{
    double all = 0;
    for (long start = from; start < to; start += STRETCH) {
        long stop = smaller(start + STRETCH, to);
        real sum = 0;
#pragma omp simd reduction(+ : sum)
        for (long t = start; t < stop; t++)
            sum += get(a[t]);
        all += sum;
    }
    return all;
}

/* Gradients of a channel, summed over its frames. */
enum {
    OF_BIAS, OF_SLOPE, OF_GAMMA, OF_BETA, OF_FILTER_BIAS, OF_NEXT_SLOPE, OF_NEXT_GAMMA, OF_NEXT_BETA,
    OF_FILTER
};

/* What the depthwise convolution's weights, and gain and bias of the norm before it get.
 * grad: of the convolution's output; its sum is in out.
 * xhat: the normed row, without gain and bias, zeros around it.
 */
static void filter_gradients(struct shape s, struct weights w, long c, const number *grad,
                             const real *xhat, double *out)
{
    out[OF_GAMMA] = out[OF_BETA] = 0;
    for (long k = 0; k < s.taps; k++) {
        /* frames from..to find a frame of the row at t + shift, the others a zero around it */
        long shift = k * s.dilation - s.padding;
        long from = smaller(shift < 0 ? -shift : 0, s.frames);
        long to = shift > 0 ? s.frames - smaller(shift, s.frames) : s.frames;
        double found = out[OF_FILTER_BIAS] - total(grad, 0, from) - total(grad, to, s.frames);
        double with_xhat = dot(grad, xhat + k * s.dilation, s.frames);
        out[OF_FILTER + k] = w.gamma[c] * with_xhat + w.beta[c] * found;
        out[OF_GAMMA] += w.filter[c * s.taps + k] * with_xhat;
        out[OF_BETA] += w.filter[c * s.taps + k] * found;
    }
}
