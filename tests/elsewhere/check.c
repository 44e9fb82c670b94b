/* Vector operations of the reference, compiled for one processor, beside plain loops.
   Prints how many numbers were compared and how many differ. */
#include <stdint.h>

#define WORDS 128 /* of four spikes or weights */
#define ROWS 8    /* steps of a panel */
#define STRIDE 24 /* neurons from step to step */
#define LANES 32  /* neurons at a time */
#define V_LIMIT ((1 << 23) - 1)

void say(const char *text);

typedef void Product(int32_t *, int64_t, int64_t, uint8_t *, int64_t, int32_t *, int64_t,
                     int64_t, int8_t *, int64_t, int32_t, int32_t);
Product multiply_1_8, multiply_1_16, multiply_4_8, multiply_4_16, multiply_8_8,
    multiply_8_16;
static const struct { Product *run; int rows, lanes; } products[] = {
    {multiply_1_8, 1, 8},   {multiply_1_16, 1, 16}, {multiply_4_8, 4, 8},
    {multiply_4_16, 4, 16}, {multiply_8_8, 8, 8},   {multiply_8_16, 8, 16}};

typedef void Advance(int32_t *, int32_t *, int8_t *, int64_t, int32_t *, int64_t, int64_t,
                     int32_t *, int64_t, int32_t *, int64_t, uint8_t *, int64_t, int64_t,
                     int64_t, int32_t, int32_t, int32_t, int32_t, int32_t);
Advance advance_plain, advance_current, advance_rest, advance_any;
static const struct { Advance *run; int current, resting, other; } sorts[] = {
    {advance_plain, 0, 0, 0}, {advance_current, 1, 0, 0}, {advance_rest, 0, 1, 0},
    {advance_any, 1, 1, 1}};

static uint32_t state = 1, compared, wrong;

static int32_t below(int32_t n) {
    state = state * 1664525u + 1013904223u;
    return (int32_t)(((uint64_t)state * (uint32_t)n) >> 32);
}

static int32_t bits(void) { return (int32_t)((uint32_t)below(65536) << 16 | (uint32_t)below(65536)); }

static void demand(int32_t got, int32_t want) {
    compared++;
    wrong += got != want;
}

static void number(uint32_t n) {
    char text[12];
    int at = 11;
    text[at] = 0;
    do text[--at] = (char)('0' + n % 10); while (n /= 10);
    say(text + at);
}

/* ---- products */

static uint8_t spikes[WORDS * ROWS * 4];
static int8_t weights[WORDS * 16 * 4];
static int32_t q[ROWS * STRIDE], was[ROWS * STRIDE];

static int32_t summed(int c, int m, int lane, const int32_t *windows, int count, int kept) {
    int pitch = products[c].rows == 1 ? 1 : ROWS;
    uint32_t sum = kept ? (uint32_t)was[m * STRIDE + lane] : 0;
    for (const int32_t *w = windows; w < windows + 3 * count; w += 3)
        for (int k = 0; k < w[2]; k++)
            for (int b = 0; b < 4; b++) {
                int spike = spikes[((w[0] + k) * pitch + m) * 4 + b];
                int weight = weights[((w[1] + k) * products[c].lanes + lane) * 4 + b];
                sum += (uint32_t)(spike * weight) << 14;
            }
    return (int32_t)sum;
}

static void check_products(int c, int density, int limit, int kept) {
    int32_t windows[9] = {0, 9, 5, 70, 0, 7, 8, 40, 88};
    int count = 3;
    for (int i = 0; i < WORDS * ROWS * 4; i++) spikes[i] = below(256) < density;
    for (int i = 0; i < WORDS * 16 * 4; i++)
        weights[i] = (int8_t)(limit ? limit : below(255) - 127);
    if (limit) windows[0] = windows[1] = 0, windows[2] = WORDS, count = 1;
    for (int i = 0; i < ROWS * STRIDE; i++) was[i] = q[i] = bits();
    products[c].run(q, 0, STRIDE, spikes, 0, windows, 0, count, weights, 0, 14, kept);
    for (int m = 0; m < ROWS; m++)
        for (int lane = 0; lane < STRIDE; lane++) {
            int within = m < products[c].rows && lane < products[c].lanes;
            demand(q[m * STRIDE + lane],
                   within ? summed(c, m, lane, windows, count, kept) : was[m * STRIDE + lane]);
        }
}

/* ---- neurons */

static int64_t wrap(int64_t x, int n) {
    int64_t limit = (int64_t)1 << n;
    return ((x + limit) & (2 * limit - 1)) - limit;
}

static int64_t decay(int64_t x, int64_t keep) {
    return x < 0 ? -(-x * keep >> 12) : x * keep >> 12;
}

static int32_t edge(int32_t limit) {
    switch (below(6)) {
    case 0: return limit;
    case 1: return -limit;
    case 2: return below(3) - 1;
    default: return below(2 * limit + 1) - limit;
    }
}

static void check_neurons(int s) {
    static const int32_t keeps[] = {0, 1, 4094, 4095, 2048};
    int32_t u[LANES], v[LANES], bias[LANES], theta[LANES], into[ROWS * LANES];
    int8_t rest[LANES];
    uint8_t fired[ROWS * LANES];
    int64_t old_u[LANES], old_v[LANES], counter[LANES];
    int32_t keep_u = sorts[s].current ? keeps[below(5)] : 0;
    int32_t keep_v = sorts[s].other && below(3) == 0 ? 4096 : keeps[below(5)];
    int32_t after = sorts[s].resting ? below(63) : 0;
    int32_t v_min = below(2) ? -V_LIMIT : -below(1000);
    int32_t v_max = sorts[s].other && below(2) ? 70000 : V_LIMIT;
    for (int i = 0; i < LANES; i++) {
        u[i] = sorts[s].current ? edge(V_LIMIT) : 0;
        v[i] = edge(V_LIMIT);
        v[i] = v[i] < v_min ? v_min : v[i] > v_max ? v_max : v[i];
        rest[i] = (int8_t)(sorts[s].resting ? below(after + 1) : 0);
        bias[i] = edge(524160);
        theta[i] = 64 * below(below(2) ? 2 : 2000);
        old_u[i] = u[i], old_v[i] = v[i], counter[i] = rest[i];
    }
    for (int i = 0; i < ROWS * LANES; i++) into[i] = bits();
    sorts[s].run(u, v, rest, 0, into, 0, LANES, bias, 0, theta, 0, fired, 0, LANES, ROWS,
                 keep_u, keep_v, after, v_min, v_max);
    for (int t = 0; t < ROWS; t++)
        for (int i = 0; i < LANES; i++) {
            old_u[i] = wrap(decay(old_u[i], keep_u) + wrap(into[t * LANES + i], 21), 23);
            int64_t y = decay(old_v[i], keep_v) + wrap(old_u[i] + bias[i], 23);
            y = y < v_min ? v_min : y > v_max ? v_max : y;
            y = counter[i] > 0 ? 0 : y;
            int spike = y > theta[i];
            old_v[i] = spike ? 0 : y;
            counter[i] = spike ? after : counter[i] > 0 ? counter[i] - 1 : 0;
            demand(fired[t * LANES + i], spike);
        }
    for (int i = 0; i < LANES; i++) {
        demand(v[i], (int32_t)old_v[i]);
        if (sorts[s].current) demand(u[i], (int32_t)old_u[i]);
        if (sorts[s].resting) demand(rest[i], (int32_t)counter[i]);
    }
}

void check(void) {
    static const int densities[] = {256, 256, 256, 128, 40, 5, 0};
    static const int limits[] = {127, -127, 0, 0, 0, 0, 0};
    for (int c = 0; c < 6; c++)
        for (int d = 0; d < 7; d++)
            for (int kept = -1; kept <= 0; kept++)
                check_products(c, densities[d], limits[d], kept);
    number(compared), say(" sums, ");
    for (int s = 0; s < 4; s++)
        for (int n = 0; n < 200; n++) check_neurons(s);
    number(compared), say(" compared, "), number(wrong), say(" wrong\n");
}
