"""The recipe: all settings of a training run, and how it is read from a TOML file."""

from pleura.lab.train.recipe.augment import Augment
from pleura.lab.train.recipe.parse import load_recipe, parse_recipe
from pleura.lab.train.recipe.recipe import Recipe
from pleura.lab.train.recipe.stage import Stage

__all__ = ["Augment", "Recipe", "Stage", "load_recipe", "parse_recipe"]
