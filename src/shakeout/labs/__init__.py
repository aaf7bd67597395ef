"""Where hosts come from: laboratories that make them, pools that describe real ones."""
