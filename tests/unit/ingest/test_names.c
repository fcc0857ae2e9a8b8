#include "ingest_test.h"

#include "ingest/names_int.h"

static void check(const char *path, const char *want) {
    str got = service_of_path(str_c(path));
    if (!str_eq(got, str_c(want))) fail_msg("%s: \"%.*s\", not \"%s\"", path, STR_ARG(got), want);
}

static void service_from_file_name(void **state) {
    (void)state;
    check("payment-service.log", "payment-service");
    check("/var/log/svc/payment-service.log", "payment-service");
    check("payment.2026-11-20.log.gz", "payment");
    check("payment.log-20261120.gz", "payment");
    check("payment-2026-11-20T10-30.log", "payment");
    check("payment_service.log.3", "payment_service");
    check("payment.log.2.zst", "payment");
    check("payment.log.old", "payment");
    check("payment.json.xz", "payment");
    check("payment-error.log", "payment");
    check("payment.access.log.1", "payment");
    check("catalina.out", "catalina");
    check("nginx-access.log", "nginx");
    check("redis-6379.log", "redis-6379");
    check("order-service-1700000000.log", "order-service");
    check("Order.log", "Order");
    check("my-app.log", "my-app");
    check("ip-10-0-3-12.log", "ip-10-0-3-12");
}

static void service_from_directory_when_the_name_is_generic(void **state) {
    (void)state;
    check("order-service/app.log", "order-service");
    check("order-service/logs/app.log.2.gz", "order-service");
    check("/srv/order-service/log/current", "order-service");
    check("order-service/stdout", "order-service");
    check("order-service/error.log", "order-service");
    check("order-service/2026-11-20.log", "order-service");
    check("nginx/access.log", "nginx");
    check("app.log", "");
    check("./app.log", "");
    check("logs/app.log", "");
    check("/var/log/messages", "");
    check("/var/log/syslog.1", "");
    check("/dev/fd/63", "");
    check("", "");
    check("/", "");
}

static void service_from_kubernetes_paths(void **state) {
    (void)state;
#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    check("/var/log/containers/order-7d4b9c6f5-x2x9z_shop_payment-" HEX64 ".log", "payment");
    check("/var/log/containers/order-7d4b9c6f5d-x2x9z_shop_app-" HEX64 ".log", "order");
    check("/var/log/pods/shop_order-7d4b9c6f5d-x2x9z_8a1e/cart/0.log", "cart");
    check("/var/log/pods/shop_order-7d4b9c6f5d-x2x9z_8a1e/main/0.log.20261120-101010.gz", "order");
    check("dump/pods/shop_kafka-0_8a1e/server/1.log", "kafka");
    check("pods/shop_node-agent-x2x9z_8a1e/main/1.log", "node-agent");
    check("/var/log/pods/shop_node-agent-x2x9z_8a1e/main/1.log", "node-agent");
    check("/var/log/pods/shop_order-cache_8a1e/main/1.log", "order-cache");
    check("/var/lib/docker/containers/" HEX64 "/" HEX64 "-json.log", "");
}

static void siblings_share_a_name(void **state) {
    (void)state;
    const char *const family[] = {"x/app.log", "x/app.log.1", "x/app.log.2.gz",
                                  "x/app-20261119.log", "x/app.log-20261118.zst"};
    for (size_t i = 0; i < ARRAY_LEN(family); i++) check(family[i], "x");
}

static void stem_is_never_empty(void **state) {
    (void)state;
    const char *const names[] = {".log",    "app.log",  "1",     "-", "...",
                                 "a.gz.gz", "20261120", "x/.gz", "T", "Z.1"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) assert_true(stem_of_path(str_c(names[i])).n > 0);
    assert_true(str_eq(stem_of_path(S("a/app.log.2.gz")), S("app")));
}

static void program_text_is_no_log(void **state) {
    (void)state;
    assert_true(name_is_no_log(S("main.c")));
    assert_true(name_is_no_log(S("README.md")));
    assert_false(name_is_no_log(S("app.log")));
    assert_false(name_is_no_log(S("messages")));
    assert_false(name_is_no_log(S("events.json")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_from_file_name),
        cmocka_unit_test(service_from_directory_when_the_name_is_generic),
        cmocka_unit_test(service_from_kubernetes_paths),
        cmocka_unit_test(siblings_share_a_name),
        cmocka_unit_test(stem_is_never_empty),
        cmocka_unit_test(program_text_is_no_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
