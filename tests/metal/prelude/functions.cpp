/* SPDX-License-Identifier: Apache-2.0 */
/* Integer, bit, vector, packing and conversion functions against references written out in the plainest way;
   integers bit for bit. */
#include "one_lane.h"
using namespace metal;

/* Integer functions of one type against 128-bit arithmetic or a loop over the bits. */
template <class T> static void check_integers(const char *type)
{
    using U = make_unsigned_t<T>;
    const int width = 8 * sizeof(T);
    const __int128 top = numeric_limits<T>::max(), bottom = numeric_limits<T>::min();
    auto bound = [&](__int128 v) { return (T)(v > top ? top : v < bottom ? bottom : v); };
    for (int i = 0; i < 20000; i++) {
        const ulong r = ((ulong)random_bits() << 32) | random_bits(),
                    q = ((ulong)random_bits() << 32) | random_bits();
        T a = (T)(r >> (random_bits() & 63)), b = (T)(q >> (random_bits() & 63)), c = (T)(r ^ q);
        if (i < 9)
            a = i % 3 == 0   ? (T)top
                : i % 3 == 1 ? (T)bottom
                             : (T)0,
            b = i / 3 == 0   ? (T)top
                : i / 3 == 1 ? (T)bottom
                             : (T)-1;
        int ones = 0, leading = 0, trailing = 0;
        U reversed = 0;
        for (int k = 0; k < width; k++) {
            const bool bit = ((U)a >> k) & 1;
            ones += bit;
            reversed = (U)(reversed | ((U)bit << (width - 1 - k)));
            leading = bit ? 0 : leading + 1;
            if (ones == 0) trailing++;
        }
        CHECK(popcount(a) == (T)ones, "%s %ld", type, (long)a);
        CHECK(clz(a) == (T)leading && ctz(a) == (T)trailing, "%s %ld", type, (long)a);
        CHECK(reverse_bits(a) == (T)reversed, "%s %ld", type, (long)a);
        const __int128 wa = a, wb = b, wc = c;
        CHECK(addsat(a, b) == bound(wa + wb) && subsat(a, b) == bound(wa - wb), "%s %ld %ld", type, (long)a,
              (long)b);
        CHECK(hadd(a, b) == (T)((wa + wb) >> 1) && rhadd(a, b) == (T)((wa + wb + 1) >> 1), "%s %ld %ld", type,
              (long)a, (long)b);
        CHECK(absdiff(a, b) == (U)(wa > wb ? wa - wb : wb - wa), "%s %ld %ld", type, (long)a, (long)b);
        const __int128 high = __is_signed(T) || width < 64
                                  ? (wa * wb) >> width
                                  : (__int128)(((unsigned __int128)wa * (unsigned __int128)wb) >> 64);
        CHECK(mulhi(a, b) == (T)high, "%s %ld %ld", type, (long)a, (long)b);
        CHECK(madhi(a, b, c) == (T)(high + wc), "%s %ld %ld", type, (long)a, (long)b);
        const bool overflows = !__is_signed(T) && width == 64 && (high != 0 || (ulong)(a * b + c) < (ulong)c);
        CHECK(madsat(a, b, c) == (overflows ? (T)top
                                            : bound(high == 0 && width == 64 && !__is_signed(T)
                                                        ? (__int128)(ulong)(a * b + c)
                                                        : wa * wb + wc)),
              "%s %ld %ld %ld: %ld", type, (long)a, (long)b, (long)c, (long)madsat(a, b, c));
        const unsigned turn = random_bits() % (2 * width);
        U turned = 0;
        for (int k = 0; k < width; k++)
            turned = (U)(turned | ((((U)a >> k) & 1) ? (U)1 << ((k + turn) % width) : (U)0));
        CHECK(rotate(a, (T)turn) == (T)turned, "%s %ld by %u", type, (long)a, turn);
        const unsigned offset = random_bits() % width, count = random_bits() % (width - offset + 1);
        __int128 field = 0;
        for (unsigned k = 0; k < count; k++) field |= (__int128)(((U)a >> (offset + k)) & 1) << k;
        U inserted = (U)b;
        for (unsigned k = 0; k < count; k++)
            inserted = (U)((inserted & (U) ~((U)1 << (offset + k))) | (U)(((U)c >> k & 1) << (offset + k)));
        CHECK(insert_bits(b, c, offset, count) == (T)inserted, "%s %ld %u %u", type, (long)b, offset, count);
        if (__is_signed(T) && count && (field >> (count - 1)) & 1) field -= (__int128)1 << count;
        CHECK(extract_bits(a, offset, count) == (T)field, "%s %ld %u %u: %ld", type, (long)a, offset, count,
              (long)extract_bits(a, offset, count));
        CHECK(min(a, b) == (a < b ? a : b) && max(a, b) == (a < b ? b : a), "%s %ld %ld", type, (long)a,
              (long)b);
        CHECK(clamp(a, (T)3, (T)9) == (a < (T)3 ? (T)3 : a > (T)9 ? (T)9 : a), "%s %ld", type, (long)a);
        CHECK(median3(a, b, c) == max(min(a, b), min(max(a, b), c)), "%s", type);
        CHECK(abs(a) == (T)(a < 0 ? -wa : wa), "%s %ld", type, (long)a);
    }
}

/* Every bfloat and a sweep of floats: rounding to nearest even, and arithmetic rounded at each operation */
static void check_bfloat()
{
    for (unsigned u = 0; u < 0x10000; u++) {
        const bfloat b = as_type<bfloat>((ushort)u);
        const float f = (float)b;
        CHECK(as_type<uint>(f) == u << 16 || isnan(f), "bfloat %x", u);
    }
    for (ulong u = 0; u < 0x100000000ul; u += 65003) {
        const float f = as_type<float>((uint)u);
        if (isnan(f)) continue;
        const uint rounded = ((uint)u + 0x7fff + (((uint)u >> 16) & 1)) >> 16;
        CHECK(as_type<ushort>((bfloat)f) == (ushort)rounded, "float %lx to bfloat", u);
    }
    for (int i = 0; i < 20000; i++) {
        const bfloat a = as_type<bfloat>((ushort)(random_bits() & 0xbfff)),
                     b = as_type<bfloat>((ushort)(random_bits() & 0xbfff));
        const bfloat c = as_type<bfloat>((ushort)(random_bits() & 0xbfff));
        if (isnan(a) || isnan(b) || isnan(c)) continue;
        const bfloat product = (bfloat)((float)a * (float)b);
        CHECK(as_type<ushort>((bfloat)(a * b + c)) == as_type<ushort>((bfloat)((float)product + (float)c)),
              "bfloat fma");
        const half x = as_type<half>((ushort)(random_bits() & 0xbfff)),
                   y = as_type<half>((ushort)(random_bits() & 0xbfff));
        if (isnan(x) || isnan(y)) continue;
        const half p = (half)((float)x * (float)y);
        CHECK(as_type<ushort>((half)(x * y + x)) == as_type<ushort>((half)((float)p + (float)x)),
              "half is rounded at every operation");
    }
}

static void check_vectors()
{
    static_assert(sizeof(float3) == 16 && alignof(float3) == 16 && sizeof(packed_float3) == 12 &&
                  alignof(packed_float3) == 4);
    static_assert(sizeof(half3) == 8 && sizeof(half2) == 4 && sizeof(uchar3) == 4 && sizeof(bool4) == 4 &&
                  sizeof(long3) == 32);
    static_assert(sizeof(float3x3) == 48 && sizeof(float4x4) == 64 && sizeof(half2x2) == 8 &&
                  alignof(packed_half4) == 2);
    static_assert(float4(1, 2, 3, 4).wzyx[1] == 3 && float3(float2(1, 2), 3).zxy.z == 2 &&
                  (int3(7) % 4).y == 3);
    float4 v = float4(1, 2, 3, 4);
    v.xy = v.yx;
    CHECK(all(v == float4(2, 1, 3, 4)), "swizzle store");
    v.bgr *= float3(2, 3, 4);
    CHECK(all(v == float4(8, 3, 6, 4)), "swizzle multiply by colour");
    v.wx += v.xx;
    CHECK(all(v == float4(16, 3, 6, 12)), "repeated read, distinct write");
    v[2] = 1, v.a = 0;
    CHECK(all(v == float4(16, 3, 1, 0)) && v.z == 1, "index and letter");
    CHECK(any(v > 15.0f) && !all(v > 0.0f) && all((v < 1.0f) == bool4(false, false, false, true)),
          "comparison");
    CHECK(all(select(v, float4(0), v > 2.0f) == float4(0, 0, 1, 0)), "select");
    packed_float3 p = float3(1, 2, 3);
    p += p * 2.0f;
    CHECK(all(float3(p) == float3(3, 6, 9)) && p[1] == 6 && all(-p == float3(-3, -6, -9)), "packed");
    CHECK(all(uchar4(float4(1.9f, 2, 3, 255)) == uchar4(1, 2, 3, 255)) &&
              all(as_type<uchar4>(0x04030201u) == uchar4(1, 2, 3, 4)),
          "conversion");
    short2 s = short2(-7, 7);
    s >>= 1;
    CHECK(all(s == short2(-4, 3)) && all((~s) == short2(3, -4)) && all((s & (short)1) == short2(0, 1)),
          "integer operators");
    CHECK(dot(float3(1, 2, 3), float3(4, 5, 6)) == 32 &&
              all(cross(float3(1, 0, 0), float3(0, 1, 0)) == float3(0, 0, 1)),
          "products");
    CHECK(length(float2(3, 4)) == 5 && distance(float2(1, 1), float2(4, 5)) == 5 &&
              fabs(length(normalize(float3(1, 2, 3))) - 1) < 1e-6f,
          "lengths");
    CHECK(all(max(float4(1, -2, 3, -4), 0.0f) == float4(1, 0, 3, 0)) &&
              all(clamp(half2(3, -3), half(-1), half(1)) == half2(1, -1)),
          "scalar beside vector");
    const float4x4 m =
        float4x4(float4(2, 1, 0, 0), float4(0, 3, 1, 0), float4(0, 0, 4, 1), float4(1, 0, 0, 5));
    CHECK(determinant(m) == 119, "determinant %g", (double)determinant(m));
    CHECK(all(m * float4(1, 2, 3, 4) == float4(6, 7, 14, 23)) &&
              all(float4(1, 2, 3, 4) * m == float4(4, 9, 16, 21)),
          "matrix times vector");
    CHECK(transpose(transpose(m)) == m && m * float4x4(1.0f) == m && (m * m)[1].y == 9, "matrices");
    CHECK(determinant(float3x3(2, 0, 1, 1, 3, 0, 0, 1, 4)) == 25 && determinant(float2x2(1, 2, 3, 4)) == -2,
          "small determinants");
}

static void check_floats()
{
    const float nan = NAN, inf = INFINITY;
    CHECK(fmin(nan, 1.0f) == 1 && fmax(1.0f, nan) == 1 && min(2.0f, nan) == 2 && isnan(fmax(nan, nan)),
          "NaN loses");
    CHECK(saturate(nan) == 0 && saturate(2.0f) == 1 && sign(-3.0f) == -1 && sign(nan) == 0 &&
              signbit(sign(-0.0f)),
          "sign");
    CHECK(fract(-0x1p-30f) == 0x1.fffffep-1f && fract(2.75f) == 0.75f && fract(-0.25f) == 0.75f, "fract");
    CHECK(round(2.5f) == 3 && round(-2.5f) == -3 && rint(2.5f) == 2 && rint(3.5f) == 4 && trunc(-2.7f) == -2,
          "rounding");
    CHECK(step(1.0f, 1.0f) == 1 && step(1.0f, 0.5f) == 0 && smoothstep(0.0f, 1.0f, 0.5f) == 0.5f &&
              mix(1.0f, 3.0f, 0.25f) == 1.5f,
          "steps");
    CHECK(copysign(3.0f, -0.0f) == -3 && fdim(3.0f, 1.0f) == 2 && fdim(1.0f, 3.0f) == 0 &&
              isnan(fdim(nan, 1.0f)),
          "fdim");
    int e;
    float whole, cosine;
    CHECK(frexp(12.0f, e) == 0.75f && e == 4 && frexp(0x1p-149f, e) == 0.5f && e == -148 &&
              frexp(0.0f, e) == 0 && e == 0,
          "frexp");
    CHECK(ldexp(0.75f, 4) == 12 && ldexp(1.0f, -149) == 0x1p-149f && ldexp(1.0f, 200) == inf &&
              ilogb(0x1p-140f) == -140 && ilogb(12.0f) == 3,
          "ldexp");
    CHECK(modf(-2.5f, whole) == -0.5f && whole == -2 && modf(inf, whole) == 0 && whole == inf, "modf");
    CHECK(fabs(sincos(1.0f, cosine) - (float)sin(1.0)) < 1e-7f && fabs(cosine - (float)cos(1.0)) < 1e-7f,
          "sincos");
    CHECK(nextafter(1.0f, 2.0f) == 0x1.000002p0f && nextafter(0.0f, -1.0f) == -0x1p-149f &&
              nextafter(half(1), half(0)) == (half)0x1.ffcp-1f,
          "nextafter");
    for (unsigned u = 0; u < 0x10000; u++) {
        const half h = as_type<half>((ushort)u);
        if (isnan(h) || isinf(h)) continue;
        const half up = nextafter(h, (half)inf), down = nextafter(h, (half)-inf);
        CHECK(up > h && down < h && (isinf(up) || nextafter(up, (half)-inf) == h) &&
                  (isinf(down) || nextafter(down, (half)inf) == h),
              "half %x", u);
        CHECK(isnormal(h) == ((u & 0x7c00) != 0) && isfinite(h) && signbit(h) == (u >= 0x8000), "half %x", u);
        CHECK(as_type<ushort>(abs(h)) == (u & 0x7fff), "half %x", u);
    }
    CHECK(isnan(nan) && isinf(-inf) && !isfinite(inf) && !isnormal(0x1p-140f) && isunordered(nan, 1.0f) &&
              isordered(1.0f, 2.0f),
          "tests");
    CHECK(powr(2.0f, 3.0f) == 8 && isnan(powr(-2.0f, 2.0f)) && pow(-2.0f, 3.0f) == -8 && pow(2, 3) == 8,
          "pow");
    CHECK(exp(-inf) == 0 && exp(inf) == inf && fast::exp(-inf) == 0 && precise::log(0.0f) == -inf,
          "exp and log");
    CHECK(exp(half(1)) == (half)2.718f && exp2(3) == 8.0f && as_type<ushort>(sqrt((bfloat)2)) == 0x3fb5,
          "other scalars");
}

static void check_packing()
{
    for (unsigned u = 0; u < 256; u++) {
        const uint x = u | (255 - u) << 8 | (u ^ 0x5a) << 16 | (u / 2) << 24;
        CHECK(pack_float_to_unorm4x8(unpack_unorm4x8_to_float(x)) == x, "unorm4x8 %x", x);
        CHECK(pack_half_to_unorm4x8(unpack_unorm4x8_to_half(x)) == x, "half unorm4x8 %x", x);
        CHECK(pack_float_to_srgb_unorm4x8(unpack_unorm4x8_srgb_to_float(x)) == x, "srgb %x", x);
        const float4 s = unpack_snorm4x8_to_float(x);
        CHECK((u & 255) == 128 || (pack_float_to_snorm4x8(s) & 255) == (x & 255), "snorm4x8 %x", x);
        CHECK(s.x == (u == 128 ? -1.0f : (float)(signed char)u / 127.0f), "snorm4x8 %x", x);
    }
    for (unsigned i = 0; i < 1000; i++) {
        const uint x = random_bits();
        CHECK(pack_float_to_unorm2x16(unpack_unorm2x16_to_float(x)) == x, "unorm2x16 %x", x);
        CHECK(pack_float_to_unorm10a2(unpack_unorm10a2_to_float(x)) == x, "unorm10a2 %x", x);
        CHECK(pack_float_to_unorm565(unpack_unorm565_to_float((ushort)x)) == (ushort)x, "unorm565 %x", x);
    }
    CHECK(pack_float_to_unorm4x8(float4(NAN, -1, 2, 0.5f)) == 0x80ff0000u, "unorm4x8 of odd values");
}

static void check_atomics()
{
    atomic_int i;
    atomic_store_explicit(&i, 5, memory_order_relaxed);
    CHECK(atomic_fetch_add_explicit(&i, 3, memory_order_relaxed) == 5 &&
              atomic_fetch_min_explicit(&i, -2, memory_order_relaxed) == 8,
          "add, min");
    CHECK(atomic_exchange_explicit(&i, 9, memory_order_relaxed) == -2 &&
              atomic_fetch_xor_explicit(&i, 1, memory_order_relaxed) == 9,
          "exchange, xor");
    int expected = 7;
    CHECK(!atomic_compare_exchange_weak_explicit(&i, &expected, 1, memory_order_relaxed,
                                                 memory_order_relaxed) &&
              expected == 8,
          "exchange refused");
    CHECK(
        atomic_compare_exchange_weak_explicit(&i, &expected, 1, memory_order_relaxed, memory_order_relaxed) &&
            atomic_load_explicit(&i, memory_order_relaxed) == 1,
        "exchange done");
    atomic<uint> u;
    atomic_store_explicit(&u, 1u, memory_order_relaxed);
    CHECK(atomic_fetch_max_explicit(&u, 0x80000000u, memory_order_relaxed) == 1 &&
              atomic_load_explicit(&u, memory_order_relaxed) == 0x80000000u,
          "unsigned max");
    atomic_float f;
    atomic_store_explicit(&f, 1.5f, memory_order_relaxed);
    CHECK(atomic_fetch_add_explicit(&f, 2, memory_order_relaxed) == 1.5f &&
              atomic_load_explicit(&f, memory_order_relaxed) == 3.5f,
          "float add");
}

int main()
{
    check_integers<char>("char");
    check_integers<uchar>("uchar");
    check_integers<short>("short");
    check_integers<ushort>("ushort");
    check_integers<int>("int");
    check_integers<uint>("uint");
    check_integers<long>("long");
    check_integers<ulong>("ulong");
    check_bfloat();
    check_vectors();
    check_floats();
    check_packing();
    check_atomics();
    printf("%d checks, %d failures\n", checks, failures);
    return failures != 0;
}
