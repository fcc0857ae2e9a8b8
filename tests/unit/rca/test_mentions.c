/* Who names whom in the text of a record. */
#include "../unit.h"

#include "rca/mentions.h"

static arena mem;
static name_book book;

static int setup(void **state) {
    (void)state;
    arena_init(&mem, "test", 1 << 20);
    name_book_init(&book);
    static const char *const names[] = {"order-service",        "payment",      "inventory-service",
                                        "com.shop.CartService", "redis-master", "app"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) name_book_add(&book, str_c(names[i]));
    return 0;
}

static int teardown(void **state) {
    (void)state;
    name_book_release(&book);
    arena_release(&mem);
    return 0;
}

/* The names found, separated by blanks; callers with a '<' before. */
static const char *found_in(const char *text) {
    static char out[512];
    mention m[MENTIONS_MAX];
    size_t n = mentions_find(&book, str_c(text), &mem, m), at = 0;
    out[0] = 0;
    for (size_t i = 0; i < n; i++) {
        at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s%.*s", i ? " " : "",
                               m[i].incoming ? "<" : "", STR_ARG(m[i].name));
    }
    return out;
}

static void known_names_in_their_forms(void **state) {
    (void)state;
    assert_string_equal(found_in("call to order-service failed"), "order-service");
    assert_string_equal(found_in("OrderService is down"), "order-service");
    assert_string_equal(found_in("pod order-service-7d9f8-x2x died"), "order-service");
    assert_string_equal(found_in("http://order-service.prod.svc.cluster.local:8080/x"),
                        "order-service");
    assert_string_equal(found_in("CartService said no"), "com.shop.CartService");
    assert_string_equal(found_in("the reorder-services list"), "");
    assert_string_equal(found_in("app failed"), ""); /* a generic name */
    assert_string_equal(found_in("POST http://app:9000/x failed"), "app");
    assert_string_equal(found_in("https://app.prod.svc:9000/x failed"), "app");
    assert_string_equal(found_in("https://app.maps.example.com/x failed"), "app.maps.example.com");
    assert_string_equal(found_in("https://payment.example.com/x failed"), "payment.example.com");
}

static void plain_words_need_a_peer_context(void **state) {
    (void)state;
    assert_string_equal(found_in("payment of 12 EUR failed"), "");
    assert_string_equal(found_in("calling payment failed"), "payment");
    assert_string_equal(found_in("GET http://payment/charge: timeout"), "payment");
    assert_string_equal(found_in("dial payment:8080"), "payment");
    assert_string_equal(found_in("the payment service is slow"), "payment");
    assert_string_equal(found_in("payment answered 500"), "payment");
    assert_string_equal(found_in("inventory count is 7"), "");
    assert_string_equal(found_in("dial inventory:8080: refused"), "inventory-service");
}

static void callers_are_marked(void **state) {
    (void)state;
    assert_string_equal(found_in("request from order-service failed"), "<order-service");
    assert_string_equal(found_in("client order-service disconnected"), "<order-service");
    assert_string_equal(found_in("reset by order-service"), "order-service");
    /* Named as both: it is depended upon. */
    assert_string_equal(found_in("request from order-service, reply to order-service"),
                        "order-service");
}

static void dependencies_by_name_library_and_port(void **state) {
    (void)state;
    assert_string_equal(found_in("RedisCommandTimeoutException: Command timed out"), "redis");
    assert_string_equal(found_in("redis.clients.jedis.exceptions.JedisConnectionException"),
                        "redis");
    assert_string_equal(found_in("dial tcp 10.0.3.7:5432: connect: refused"), "postgresql");
    assert_string_equal(found_in("HikariPool-1 - Connection is not available"), "database");
    assert_string_equal(found_in("com.mysql.cj.jdbc.exceptions.CommunicationsException"),
                        "mysql database");
    assert_string_equal(found_in("etcdserver: leader changed"), "etcd");
    assert_string_equal(found_in("cannot post 7: Communications link failure: 17 ms ago"), "mysql");
    assert_string_equal(found_in("WARNING: See https://kernel.example.org/doc for more"), "");
    assert_string_equal(found_in("2026-06-22T11:25:06Z mail:25 down"), "smtp");
    assert_string_equal(found_in("at 2026-06-22T11:25:06Z and 11:53"), "");
    assert_text(mention_dependency_of(S("prod-redis-0")), S("redis"));
    assert_text(mention_dependency_of(S("predis")), S(""));
}

static void external_hosts(void **state) {
    (void)state;
    assert_string_equal(found_in("POST https://api.stripe.com/v1/charges: 503"), "api.stripe.com");
    assert_string_equal(found_in("POST https://key@api.stripe.com:443/v1"), "api.stripe.com");
    assert_string_equal(found_in("lookup db7.corp.internal: no such host"), "db7.corp.internal");
    assert_string_equal(found_in("see https://docs.example.com/errors"), "");
    assert_string_equal(found_in("http://localhost:8080/health failed"), "");
    assert_string_equal(found_in("took:450 OrderApi.java:42 c.s.OrderApi:99 at 12:30"), "");
}

static void stack_frames_are_skipped(void **state) {
    (void)state;
    assert_string_equal(found_in("boom\n\tat com.shop.CartService.load(CartService.java:7)\n"
                                 "Caused by: RedisTimeoutException"),
                        "redis");
}

static void bounded(void **state) {
    (void)state;
    char text[4096];
    size_t at = 0;
    for (int i = 0; i < 100; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "http://h%d.example.com/ ", i);
    }
    mention m[MENTIONS_MAX];
    assert_int_equal(mentions_find(&book, str_c(text), &mem, m), MENTIONS_MAX);
    assert_int_equal(mentions_find(&book, STR_NONE, &mem, m), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_names_in_their_forms),
        cmocka_unit_test(plain_words_need_a_peer_context),
        cmocka_unit_test(callers_are_marked),
        cmocka_unit_test(dependencies_by_name_library_and_port),
        cmocka_unit_test(external_hosts),
        cmocka_unit_test(stack_frames_are_skipped),
        cmocka_unit_test(bounded),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
