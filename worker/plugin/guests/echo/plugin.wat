;; Echoes: the values of [input] come back as the values of [output], whatever they are. As many of one as of the other.
(module
  (memory (export "memory") 2)

  (func (export "nightshift_abi") (result i32) i32.const 1)

  ;; The block stands from 16 on, the answer behind it. An answer is little longer than its block: 1 byte in front, and 1
  ;; for each record, which has 8 for its id.
  (func (export "alloc") (param $length i32) (result i32)
    (local $pages i32)
    (local.set $pages (i32.sub
      (i32.shr_u (i32.add (i32.mul (local.get $length) (i32.const 3)) (i32.const 65600)) (i32.const 16))
      (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0))
      (then (if (i32.lt_s (memory.grow (local.get $pages)) (i32.const 0)) (then (return (i32.const 0))))))
    (i32.const 16))

  (func (export "process") (param $block i32) (param $length i32) (result i64)
    (local $in i32) (local $out i32) (local $answer i32) (local $columns i32) (local $records i32) (local $column i32)
    (local $size i32)
    (local.set $columns (i32.load (local.get $block)))
    (local.set $records (i32.load offset=4 (local.get $block)))
    (local.set $in (i32.add (local.get $block) (i32.const 8)))
    (local.set $answer (i32.add (local.get $block) (local.get $length)))
    (i32.store8 (local.get $answer) (i32.const 0))
    (i32.store offset=1 (local.get $answer) (local.get $columns))
    (i32.store offset=5 (local.get $answer) (local.get $records))
    (local.set $out (i32.add (local.get $answer) (i32.const 9)))
    (block $done
      (loop $record
        (br_if $done (i32.eqz (local.get $records)))
        ;; The id, and 0: values follow.
        (i64.store (local.get $out) (i64.load (local.get $in)))
        (i32.store8 offset=8 (local.get $out) (i32.const 0))
        (local.set $in (i32.add (local.get $in) (i32.const 8)))
        (local.set $out (i32.add (local.get $out) (i32.const 9)))
        (local.set $column (local.get $columns))
        (block $values
          (loop $value
            (br_if $values (i32.eqz (local.get $column)))
            (local.set $size (call $size_of (local.get $in)))
            (memory.copy (local.get $out) (local.get $in) (local.get $size))
            (local.set $in (i32.add (local.get $in) (local.get $size)))
            (local.set $out (i32.add (local.get $out) (local.get $size)))
            (local.set $column (i32.sub (local.get $column) (i32.const 1)))
            (br $value)))
        (local.set $records (i32.sub (local.get $records) (i32.const 1)))
        (br $record)))
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $answer)) (i64.const 32))
      (i64.extend_i32_u (i32.sub (local.get $out) (local.get $answer)))))

  ;; The length of the value at $at: null has its tag alone, a number 8 bytes more, a text its length and its bytes.
  (func $size_of (param $at i32) (result i32)
    (local $tag i32)
    (local.set $tag (i32.load8_u (local.get $at)))
    (if (i32.eqz (local.get $tag)) (then (return (i32.const 1))))
    (if (i32.lt_u (local.get $tag) (i32.const 3)) (then (return (i32.const 9))))
    (i32.add (i32.const 5) (i32.load offset=1 (local.get $at)))))
