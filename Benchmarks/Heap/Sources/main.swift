print("heap-bench")
