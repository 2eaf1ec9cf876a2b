-- The shop of the demo: 120 customers, 480 orders, 480 payments. The data is made
-- up; the social security numbers are of an area that is never given out, the
-- card numbers of a range for tests.
SET ROLE shop_owner;
SET search_path = public;

CREATE TABLE customers (
  id         int PRIMARY KEY,
  name       text NOT NULL,
  email      text NOT NULL UNIQUE,
  ssn        text NOT NULL,
  city       text NOT NULL,
  since      date NOT NULL
);
CREATE TABLE orders (
  id          int PRIMARY KEY,
  customer_id int NOT NULL REFERENCES customers,
  placed      date NOT NULL,
  status      text NOT NULL CHECK (status IN ('paid', 'shipped', 'returned')),
  total       numeric(10, 2) NOT NULL
);
CREATE TABLE payments (
  id          int PRIMARY KEY,
  order_id    int NOT NULL UNIQUE REFERENCES orders,
  card_number text NOT NULL,
  amount      numeric(10, 2) NOT NULL,
  refunded    numeric(10, 2) NOT NULL DEFAULT 0
);

INSERT INTO customers
SELECT n,
       first || ' ' || last,
       lower(first || '.' || last) || n || '@' || (ARRAY['mail', 'post', 'inbox'])[1 + n % 3] || '.example',
       format('9%s-%s-%s', lpad((n * 37 % 100)::text, 2, '0'), lpad((n * 53 % 99 + 1)::text, 2, '0'), lpad((n * 7919 % 9999 + 1)::text, 4, '0')),
       (ARRAY['Lisbon', 'Oslo', 'Toronto', 'Nairobi', 'Osaka', 'Leeds', 'Austin'])[1 + n * 5 % 7],
       date '2023-01-09' + n * 8
FROM generate_series(1, 120) n,
     LATERAL (SELECT (ARRAY['Amara', 'Ben', 'Chloe', 'Diego', 'Elif', 'Farah', 'Goran', 'Hana', 'Ivan', 'Jo', 'Kofi', 'Lena', 'Mei'])[1 + n % 13] AS first,
                     (ARRAY['Okafor', 'Stone', 'Dubois', 'Ramos', 'Yilmaz', 'Aziz', 'Petrov', 'Sato', 'Novak', 'Miller', 'Mensah'])[1 + n % 11] AS last) names;

INSERT INTO orders
SELECT n, 1 + n * 31 % 120, date '2026-01-05' + n / 2, (ARRAY['paid', 'shipped', 'shipped', 'returned'])[1 + n % 4], 20 + n * 137 % 480 + 0.90
FROM generate_series(1, 480) n;

INSERT INTO payments
SELECT id, id, format('4111-1111-%s-%s', lpad((id * 7 % 9000 + 1000)::text, 4, '0'), lpad((id * 7369 % 9000 + 1000)::text, 4, '0')), total
FROM orders;

-- What the gateway logs in as: it may use these tables, and owns nothing.
GRANT USAGE ON SCHEMA public TO sallyport_shop;
GRANT SELECT ON customers, orders, payments TO sallyport_shop;
GRANT UPDATE ON orders, payments TO sallyport_shop;
RESET ROLE;
ANALYZE customers, orders, payments;
