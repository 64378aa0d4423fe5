"""The lines of a model card that use the model: for who has no Switchpoint."""

IMPORTS = {
    "keras": "keras, numpy",
    "h5": "keras, numpy",
    "savedmodel": "numpy, tensorflow",
    "onnx": "numpy, onnxruntime",
    "tflite": "numpy\nfrom ai_edge_litert.interpreter import Interpreter  # pip install ai-edge-litert",
}
# What `switchpoint.photos.read` does.
READ = '''\
def read(path):
    """A photo with the pixels that training saw: upright, transparency on white, 16 bits scaled to 8."""
    image = Image.open(path)
    if image.mode == "F" or (image.format == "TIFF" and image.mode.startswith("I")):
        raise ValueError(f"{path} has more than 8 bits: save it as a PNG, or as a TIFF of 8 bits.")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits
        image = image.convert("F").point(lambda level: level * (255 / 65535) + 0.5).convert("L")
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return numpy.array(image.convert("RGB"))
'''
# What `switchpoint.command.formats.pixels` does.
PIXELS = '''
def pixels(photo):
    """What the network takes: resized as training was, bilinear and without antialiasing; then a square is cut out."""
    how = json.loads(Path("preprocessing.json").read_text())
    (height, width, _), shape = photo.shape, (how["width"], how["height"])
    matrix = (width / shape[0], 0, 0, 0, height / shape[1], 0)
    bands = [
        Image.fromarray(photo[..., band]).convert("F")
        .transform(shape, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        .crop((how["left"], how["top"], how["left"] + how["size"], how["top"] + how["size"]))
        for band in range(3)
    ]
    return numpy.stack(bands, axis=-1)
'''
ASKED = {
    "keras": """\
model = keras.models.load_model("model.keras", compile=False)
probabilities = model.predict(read("photo.jpg")[None])[0]
""",
    "h5": """\
model = keras.models.load_model("model.h5", compile=False)
probabilities = model.predict(read("photo.jpg")[None])[0]
""",
    "savedmodel": """\
model = tensorflow.saved_model.load("model.savedmodel")
probabilities = model.serve(read("photo.jpg")[None])[0].numpy()
""",
    "onnx": """\
model = onnxruntime.InferenceSession("model.onnx")
probabilities = model.run(None, {"pixels": pixels(read("photo.jpg"))[None]})[0][0]
""",
    "tflite": """\
model = Interpreter("model.tflite").get_signature_runner()
probabilities = model(pixels=pixels(read("photo.jpg"))[None])["output_0"][0]
""",
}
RESIZED = ("onnx", "tflite")  # what begins at resized pixels


def use(kind: str) -> str:
    """A program that names the class of photo.jpg, with nothing but the export and libraries that anyone has."""
    return (
        f"import json\nfrom pathlib import Path\nimport {IMPORTS[kind]}\nfrom PIL import Image, ImageOps\n\n"
        f"{READ}{PIXELS if kind in RESIZED else ''}\n{ASKED[kind]}"
        'print(json.loads(Path("classes.json").read_text())[probabilities.argmax()])\n'
    )


def takes(kind: str) -> str:
    """What goes into the model."""
    if kind in RESIZED:
        return (
            "Input: `pixels`, float32 (batch, size, size, 3), RGB from 0 to 255: photos that were resized and cut as "
            "`preprocessing.json` says, by the lines below; what the network wants of their values is inside."
        )
    return "Input: RGB photos of any size, values from 0 to 255."
