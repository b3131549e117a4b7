"""Small networks beside their teachers: objective, size, time, steadiness."""
